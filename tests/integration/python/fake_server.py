"""A real server with no models behind it, a process of its own."""

import os
import subprocess
import unittest

SERVER = os.environ["SWAPSERVE_FAKE_SERVER"]


class Server:
    """The fake server, which ends with its standard input."""

    def __init__(self, endpoint="tcp://127.0.0.1:*"):
        self.process = subprocess.Popen(
            [SERVER, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.endpoint = self.process.stdout.readline().strip()
        assert self.endpoint, "the server did not start"

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(20)


class WithServer(unittest.TestCase):
    def setUp(self):
        self.server = Server()

    def tearDown(self):
        self.assertEqual(self.server.stop(), 0)
