"""What callers pass that no server could take, and calls of a client that is closed: alike in both
clients, named, and without harm to what is in flight.
"""

import array
import asyncio
import unittest

import swapserve
from fake_server import WithServer
from swapserve import AsyncClient, Client
from swapserve.wire import submit_fields

NAN, INF = float("nan"), float("inf")

# (arguments of generate, the exception, words of its text)
WRONG = [
    ({"prompt": b"abc"}, TypeError, "prompt: found b'abc', want text .a str. or token ids"),
    ({"prompt": bytearray(b"abc")}, TypeError, "^prompt: "),
    ({"prompt": None}, TypeError, "prompt: found None, want text"),
    ({"prompt": 5}, TypeError, "prompt: found 5, want text"),
    ({"prompt": ["1", "2"]}, TypeError, r"prompt\[0\]: found '1', want an int"),
    ({"prompt": [1, 1.9]}, TypeError, r"prompt\[1\]: found 1.9, want an int"),
    ({"prompt": [True]}, TypeError, r"prompt\[0\]: found True, want an int"),
    ({"prompt": [3, -1]}, ValueError, r"prompt\[1\]: found -1, want 0 to 2147483647"),
    ({"prompt": [2**31]}, ValueError, r"prompt\[0\]: found 2147483648, want 0 to 2147483647"),
    ({"prompt": "a\ud800"}, ValueError, r"prompt: found '\\ud800' at 1, want text without"),
    ({"model": None}, TypeError, "model: found None, want a str"),
    ({"max_tokens": 1.5}, TypeError, "max_tokens: found 1.5, want an int"),
    ({"max_tokens": 2**64}, ValueError, "max_tokens: found 18446744073709551616, want "),
    ({"temperature": "hot"}, TypeError, "temperature: found 'hot', want a number"),
    ({"temperature": NAN}, ValueError, "temperature: found nan, want a finite number"),
    ({"top_k": True}, TypeError, "top_k: found True, want an int"),
    ({"top_p": 10**400}, ValueError, "^top_p: .* want a finite number"),
    ({"seed": 2**64}, ValueError, "seed: .*, want 0 to 18446744073709551615"),
    ({"seed": -1}, ValueError, "seed: found -1, want 0 to"),
    ({"stop": 5}, TypeError, "stop: found 5, want a str or a sequence"),
    ({"stop": b"x"}, TypeError, "stop: found b'x', want a str or a sequence"),
    ({"stop": ["a", 5]}, TypeError, r"stop\[1\]: found 5, want a str"),
    ({"stop_token_ids": "ab"}, TypeError, "stop_token_ids: found 'ab', want a sequence of ints"),
    ({"ignore_eos": 1}, TypeError, "ignore_eos: found 1, want True or False"),
    ({"request_class": 1}, TypeError, "request_class: found 1, want a str"),
    ({"deadline": NAN}, ValueError, "deadline: found nan, want a finite number"),
    ({"deadline": "1"}, TypeError, "deadline: found '1', want a number"),
    ({"deadline": -1}, ValueError, "deadline: found -1, want seconds above 0"),
    ({"deadline": 0}, ValueError, "deadline: found 0, want seconds above 0"),
    ({"deadline": 1e30}, ValueError, "deadline: found 1e.30, want seconds, at most"),
    ({"timeout": NAN}, ValueError, "timeout: found nan, want a finite number"),
    ({"timeout": INF}, ValueError, "timeout: found inf, want a finite number"),
    ({"timeout": "1"}, TypeError, "timeout: found '1', want a number"),
]

WRONG_OF_A_CLIENT = [
    ({"endpoint": 5}, TypeError, "endpoint: found 5, want a str"),
    ({"timeout": NAN}, ValueError, "timeout: found nan"),
    ({"connect_timeout": None}, TypeError, "connect_timeout: found None, want a number"),
    ({"frame_max": 1e6}, TypeError, "frame_max: found 1000000.0, want an int"),
    ({"frame_max": 0}, ValueError, "frame_max: found 0, want 256 to"),
]

FAR_TOO_LONG = "x" * 8300000


class FieldsTest(unittest.TestCase):
    def test_what_stands_for_an_int_or_a_number(self):
        fields = submit_fields("m", array.array("i", [1, 2]), stop_token_ids=range(3), top_p=1)
        self.assertEqual(fields["tokens"], [1, 2])
        self.assertEqual(fields["stop_token_ids"], [0, 1, 2])
        self.assertEqual(fields["top_p"], 1.0)

        class Index:
            def __index__(self):
                return 7

        fields = submit_fields("m", [Index()], seed=2**64 - 1, max_tokens=Index())
        self.assertEqual((fields["tokens"], fields["max_tokens"]), ([7], 7))
        self.assertEqual(fields["seed"], 2**64 - 1)


class SyncTest(WithServer):
    def test_wrong_arguments(self):
        with Client(self.server.endpoint, timeout=20) as client:
            for wrong, kind, words in WRONG:
                with self.subTest(wrong=str(wrong)):
                    for call in (client.generate, client.stream):
                        with self.assertRaisesRegex(kind, words):
                            call(**{"model": "echo", "prompt": "x", **wrong})
            for call in (client.load, client.drop):
                with self.assertRaisesRegex(TypeError, "model: found 5, want a str"):
                    call(5)
            with self.assertRaisesRegex(ValueError, "timeout: found nan"):
                client.status(timeout=NAN)
            self.assertEqual(client.status().accepted, 0, "something was sent")
        for wrong, kind, words in WRONG_OF_A_CLIENT:
            with self.subTest(wrong=wrong):
                with self.assertRaisesRegex(kind, words):
                    Client(**wrong)

    def test_closed(self):
        client = Client(self.server.endpoint, timeout=20)
        stream = client.stream("slow", "x", max_tokens=100000)
        next(stream)
        client.close()
        client.close()
        for call in (client.status, client.models, lambda: client.generate("echo", "x")):
            with self.assertRaisesRegex(swapserve.Closed, "closed"):
                call()
        with self.assertRaisesRegex(swapserve.Closed, "closed"):
            list(stream)
        self.assertEqual(list(stream), [], "an error ends a stream")
        stream.cancel()
        stream.close()

    def test_far_over_the_known_limit(self):
        with Client(self.server.endpoint, timeout=20) as client:
            with client.stream("slow", "x", max_tokens=4) as stream:
                with self.assertRaisesRegex(swapserve.TooLong, r"83\d{5} bytes.* 1048576 bytes"):
                    client.generate("echo", FAR_TOO_LONG)
                self.assertEqual("".join(piece.text for piece in stream), "t0 t1 t2 t3 ")
        with Client(self.server.endpoint, timeout=20, frame_max=256) as client:
            with self.assertRaisesRegex(swapserve.TooLong, r"taken to be 256 bytes"):
                client.generate("echo", "x" * 600)
            self.assertEqual(client.generate("echo", "x" * 300, max_tokens=1).text, "t0 ")


class AsyncTest(WithServer):
    def test_wrong_arguments(self):
        async def run():
            async with AsyncClient(self.server.endpoint, timeout=20) as client:
                for wrong, kind, words in WRONG:
                    with self.subTest(wrong=str(wrong)):
                        asked = {"model": "echo", "prompt": "x", **wrong}
                        with self.assertRaisesRegex(kind, words):
                            await client.generate(**asked)
                        with self.assertRaisesRegex(kind, words):
                            client.stream(**asked)
                for call in (client.load, client.drop):
                    with self.assertRaisesRegex(TypeError, "model: found 5, want a str"):
                        await call(5)
                with self.assertRaisesRegex(ValueError, "timeout: found nan"):
                    await client.status(timeout=NAN)
                self.assertEqual((await client.status()).accepted, 0, "something was sent")
            for wrong, kind, words in WRONG_OF_A_CLIENT:
                with self.subTest(wrong=wrong):
                    with self.assertRaisesRegex(kind, words):
                        AsyncClient(**wrong)

        asyncio.run(run())

    def test_closed(self):
        async def run():
            client = AsyncClient(self.server.endpoint, timeout=20)
            stream, unsent = (client.stream("slow", "x", max_tokens=100000) for _ in range(2))
            await stream.__anext__()
            stuck = asyncio.ensure_future(client.generate("stuck", "x"))
            while (await client.status()).running < 2:
                await asyncio.sleep(0.01)
            await client.close()
            await client.close()
            for call in (client.status(), client.models(), client.generate("echo", "x"), stuck):
                with self.assertRaisesRegex(swapserve.Closed, "closed"):
                    await call
            for of in (stream, unsent):
                with self.assertRaisesRegex(swapserve.Closed, "closed"):
                    [piece async for piece in of]
                self.assertEqual([piece async for piece in of], [], "an error ends a stream")
                await of.cancel()
                await of.close()

        asyncio.run(run())

    def test_closed_while_it_waits_for_a_connection(self):
        async def run():
            client = AsyncClient("tcp://127.0.0.1:1", connect_timeout=20)
            waits = asyncio.ensure_future(client.status())
            await asyncio.sleep(0.05)
            await client.close()
            with self.assertRaisesRegex(swapserve.Closed, "closed"):
                await asyncio.wait_for(waits, 5)

        asyncio.run(run())

    def test_far_over_the_known_limit(self):
        async def run():
            async with AsyncClient(self.server.endpoint, timeout=20) as client:
                beside = asyncio.ensure_future(client.generate("slow", "x", max_tokens=4))
                while (await client.status()).running == 0:
                    await asyncio.sleep(0.01)
                with self.assertRaisesRegex(swapserve.TooLong, r"83\d{5} bytes.* 1048576 bytes"):
                    await client.generate("echo", FAR_TOO_LONG)
                self.assertEqual((await beside).text, "t0 t1 t2 t3 ")

        asyncio.run(run())


if __name__ == "__main__":
    unittest.main()
