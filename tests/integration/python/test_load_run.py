"""Runs of the load generator that end badly: the server goes, or files cannot be written. What was
measured is reported all the same.
"""

import asyncio
import csv
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

from fake_server import Server
from swapserve import Client
from swapserve.load import arrivals, live
from swapserve.load.arrivals import Arrival


class RunTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.server = Server(f"ipc://{self.folder}/s")
        self.out = os.path.join(self.folder, "out")

    def tearDown(self):
        self.assertEqual(self.server.stop(), 0)

    def start(self, *options, requests=3, **pipes):
        path = os.path.join(self.folder, "list.csv")
        arrivals.write(path, [Arrival(i * 50_000_000, "echo", 5, 3) for i in range(requests)])
        return subprocess.Popen(
            [sys.executable, "-m", "swapserve.load", "--endpoint", self.server.endpoint, "--quiet",
             "--arrivals", path, *options],
            text=True, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes},
        )  # fmt: skip

    def end(self, process, status):
        said, complained = process.communicate(timeout=60)
        self.assertEqual(process.returncode, status, (said, complained))
        return said, complained

    def accepted(self):
        with Client(self.server.endpoint, timeout=20) as client:
            return client.status().accepted

    def read(self):
        with open(os.path.join(self.out, "summary.json"), encoding="utf-8") as file:
            summary = json.load(file)
        with open(os.path.join(self.out, "requests.csv"), newline="", encoding="utf-8") as file:
            return summary, list(csv.DictReader(file))

    def expect_gone(self, said, requests):
        self.assertIn("the server is gone: its counts are missing; ", said)
        summary, rows = self.read()
        self.assertEqual((summary["requests"], len(rows)), (requests, requests))
        self.assertGreater(summary["answered"], 0)
        self.assertEqual([summary["loads"], summary["hidden_share"]], [None, None])
        self.assertIsNotNone(summary["latency_s"]["p99"])
        return summary

    def test_the_server_ends_in_the_middle(self):
        tokens = os.path.join(self.folder, "tokens.csv")
        process = self.start("--out", self.out, "--tokens", tokens, requests=20)
        while self.accepted() < 3:
            time.sleep(0.02)
        self.assertEqual(self.server.stop(), 0)
        try:
            said, _ = self.end(process, 0)
        finally:
            self.server = Server(self.server.endpoint)
        summary = self.expect_gone(said, 20)
        self.assertEqual(set(summary["refused"]) - {"connection_lost", "unreachable"}, set())
        self.assertLess(summary["answered"], 20)
        with open(tokens, encoding="utf-8") as file:
            self.assertGreaterEqual(len(file.readlines()), 1 + 3 * summary["answered"])

    def test_a_server_that_restarted_counts_from_0(self):
        with Client(self.server.endpoint, timeout=20) as client:
            before = client.status()

        class Since:
            def __init__(self, uptime_ns):
                self.found = dataclasses.replace(before, uptime_ns=uptime_ns)

            async def status(self, timeout):
                return self.found

        same, another = (Since(before.uptime_ns + past_ns) for past_ns in (10**9, -1))
        self.assertEqual(asyncio.run(live._settled(same, before)), same.found)
        self.assertIsNone(asyncio.run(live._settled(another, before)))

    def test_paths_are_tried_before_anything_is_sent(self):
        inside = os.path.join(os.devnull, "x")
        absent = os.path.join(self.folder, "no", "file")
        for options, name in (
            (("--out", inside), inside),
            (("--out", self.out, "--tokens", absent), absent),
            (("--out", self.out, "--save-arrivals", absent), absent),
            (("--out", self.out, "--tokens", self.folder), self.folder),
        ):
            with self.subTest(options=options):
                said, complained = self.end(self.start(*options), 1)
                self.assertEqual(said, "")
                self.assertIn(f"swapserve.load: {name}: cannot be ", complained)
                self.assertEqual(self.accepted(), 0)
        self.assertEqual(os.listdir(self.out), [], "a file of a run that was none")

    def test_what_is_there_stays_when_there_is_no_run(self):
        os.mkdir(self.out)
        path = os.path.join(self.out, "summary.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write("{}")
        self.end(self.start("--out", self.out, "--tokens", self.folder), 1)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "{}")

    def test_a_full_disk(self):
        full = "/dev/full"
        process = self.start("--tokens", full, "--save-arrivals", full, "--out", self.out)
        said, complained = self.end(process, 1)
        self.assertIn("3 requests in ", said)
        line = f"swapserve.load: {full}: cannot be written: No space left on device\n"
        self.assertEqual(complained, 2 * line)
        self.assertEqual(self.read()[0]["answered"], 3)
        _, complained = self.end(self.start("--dry-run", "echo", "--save-arrivals", full), 1)
        self.assertEqual(complained, line)

    def test_nobody_reads_the_report(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            _, complained = self.end(self.start("--out", self.out, stdout=full), 1)
        self.assertEqual(
            complained,
            "swapserve.load: standard output: cannot be written: No space left on device\n",
        )
        self.assertEqual(self.read()[0]["answered"], 3)


if __name__ == "__main__":
    unittest.main()
