"""The Python client against a real server with no models behind it.

    SWAPSERVE_FAKE_SERVER=build/release/tests/rpc_fake_server PYTHONPATH=rpc/python \
        .venv/bin/python -m unittest discover -s tests/integration/python
"""

import asyncio
import os
import tempfile
import threading
import time
import unittest

import msgpack
import zmq

import swapserve
from fake_server import Server, WithServer
from swapserve import AsyncClient, Client
from swapserve.wire import Calls, submit_fields


class SyncTest(WithServer):
    def setUp(self):
        super().setUp()
        self.client = Client(self.server.endpoint, timeout=20)

    def tearDown(self):
        self.client.close()
        super().tearDown()

    def test_generate(self):
        result = self.client.generate("echo", "hello", max_tokens=3)
        self.assertEqual(result.text, "t0 t1 t2 ")
        self.assertEqual(result.tokens, [0, 1, 2])
        self.assertEqual(result.finish_reason, "length")
        self.assertEqual(result.usage, swapserve.Usage(5, 3))
        self.assertTrue(result.timing.cold)
        self.assertGreater(result.timing.total_ns, 0)

    def test_every_field_arrives(self):
        result = self.client.generate(
            "mirror",
            "é",
            max_tokens=9,
            temperature=0.5,
            top_k=3,
            top_p=0.25,
            seed=42,
            stop=["END", "\n"],
            stop_token_ids=[7, 8],
            ignore_eos=True,
            request_class="batch",
            deadline=5,
        )
        self.assertEqual(
            result.text,
            "prompt=é tokens=0 max_tokens=9 temperature=0.5 top_k=3 top_p=0.25 seed=42 stop=END "
            "stop=\n stop_token=7 stop_token=8 ignore_eos=1 stream=0 class=batch deadline_ms=5000",
        )

    def test_defaults_are_the_protocols(self):
        result = self.client.generate("mirror", [4, 5, 6], stop="one")
        self.assertEqual(
            result.text,
            "prompt= tokens=3 max_tokens=64 temperature=0 top_k=0 top_p=1 stop=one ignore_eos=0 "
            "stream=0 class=normal deadline_ms=0",
        )
        self.assertEqual(result.tokens, [4, 5, 6])

    def test_stream(self):
        stream = self.client.stream("slow", "x", max_tokens=4)
        self.assertIsNone(stream.result)
        pieces = list(stream)
        self.assertEqual([piece.text for piece in pieces], ["t0 ", "t1 ", "t2 ", "t3 "])
        self.assertEqual(stream.result.text, "t0 t1 t2 t3 ")
        self.assertEqual(stream.result.tokens, [0, 1, 2, 3])
        self.assertEqual(list(stream), [])

    def test_streams_side_by_side(self):
        streams = [self.client.stream("slow", "x", max_tokens=3 + i) for i in range(4)]
        texts = ["".join(piece.text for piece in stream) for stream in reversed(streams)]
        self.assertEqual([text.count("t") for text in texts], [6, 5, 4, 3])

    def test_a_cancelled_stream_ends_in_order(self):
        stream = self.client.stream("slow", "x", max_tokens=100000)
        next(stream)
        stream.cancel()
        for _ in stream:
            pass
        self.assertEqual(stream.result.finish_reason, "cancelled")

    def test_a_stream_left_early_is_cancelled(self):
        with self.client.stream("slow", "x", max_tokens=100000) as stream:
            next(stream)
        self.wait_idle()

    def wait_idle(self):
        deadline = time.monotonic() + 10
        while self.client.status().running > 0:
            self.assertLess(time.monotonic(), deadline, "the request still runs")
            time.sleep(0.01)

    def test_a_stream_that_fails_midway(self):
        stream = self.client.stream("fail", "x")
        self.assertEqual(next(stream).text, "t0 ")
        with self.assertRaises(swapserve.InternalError) as caught:
            next(stream)
        self.assertEqual(caught.exception.message, "as asked")

    def test_timeout_cancels(self):
        with self.assertRaises(swapserve.RequestTimeout) as caught:
            self.client.generate("stuck", "x", timeout=0.1)
        self.assertIsInstance(caught.exception, TimeoutError)
        self.assertEqual(caught.exception.code, "timeout")
        self.wait_idle()

    def test_refusals(self):
        for kind, code, field, call in (
            (
                swapserve.UnknownModel,
                "unknown_model",
                "model",
                lambda: self.client.generate("nosuch", "x"),
            ),
            (
                swapserve.BadRequest,
                "bad_request",
                "top_p",
                lambda: self.client.generate("echo", "x", top_p=2.0),
            ),
            (
                swapserve.BadRequest,
                "bad_request",
                "tokens",
                lambda: self.client.generate("echo", []),
            ),
            (
                swapserve.TooLong,
                "too_long",
                "stop",
                lambda: self.client.generate("echo", "x", stop=["s"] * 17),
            ),
            (
                swapserve.TooLong,
                "too_long",
                None,
                lambda: self.client.generate("echo", "x" * (1 << 20)),
            ),
            (
                swapserve.DeadlineExceeded,
                "deadline_exceeded",
                "deadline_ms",
                lambda: self.client.generate("stuck", "x", deadline=0.05),
            ),
            (swapserve.Busy, "busy", "model", lambda: self.client.drop("stuck")),
            (swapserve.UnknownModel, "unknown_model", "model", lambda: self.client.load("nosuch")),
        ):
            with self.subTest(code=code, field=field):
                with self.assertRaises(kind) as caught:
                    call()
                self.assertIsInstance(caught.exception, swapserve.Error)
                self.assertEqual(caught.exception.code, code)
                self.assertEqual(caught.exception.field, field)
                self.assertTrue(caught.exception.message)

    def test_a_request_far_over_the_limit_loses_the_connection_and_no_more(self):
        with Client(self.server.endpoint, timeout=20, frame_max=1 << 30) as client:
            with self.assertRaises(swapserve.ConnectionLost):
                client.generate("echo", "x" * (8 << 20))
            self.assertEqual(client.generate("echo", "x", max_tokens=1).text, "t0 ")

    def test_control(self):
        status = self.client.status()
        self.assertEqual(status.version, "0.0-fake")
        self.assertEqual(status.hidden_ns, 1500000000)
        self.assertFalse(status.draining)
        self.assertEqual([model.state for model in status.models], ["resident", "partial"])
        self.assertEqual(status.models[0].resident_bytes, 3000000000)
        self.assertEqual([rank.tp for rank in status.ranks], [0, 1])
        models = self.client.models()
        self.assertEqual(len(models), 7)
        self.assertEqual([model.name for model in models if not model.text], ["ids"])
        self.client.load("echo")
        self.client.drop("echo")
        self.client.drain()
        self.assertTrue(self.client.status().draining)
        with self.assertRaises(swapserve.Draining):
            self.client.generate("echo", "x")
        self.client.shutdown()

    def test_a_client_per_thread(self):
        texts = [[] for _ in range(4)]

        def work(mine):
            with Client(self.server.endpoint, timeout=20) as client:
                for count in range(1, 20):
                    mine.append(client.generate("echo", "x", max_tokens=count).text.count("t"))

        threads = [threading.Thread(target=work, args=(mine,)) for mine in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(texts, [list(range(1, 20))] * 4)

    def test_sends_while_answers_come_faster_than_it_reads(self):
        class Flood:
            """A socket that always has one more answer; to a call that is closed."""

            taken = 0

            def __init__(self, dealer):
                self.dealer = dealer

            def poll(self, timeout):
                return zmq.POLLIN if self.taken < 10000 else 0

            def recv(self):
                self.taken += 1
                return msgpack.packb({"v": 1, "id": 0, "op": "tokens", "seq": 0, "fin": False})

            def send(self, frame):
                self.dealer.send(frame)

        self.client.models()  # connected
        dealer = self.client._dealer
        self.client._dealer = flood = Flood(dealer)
        stream = self.client.stream("echo", "hello", max_tokens=3)
        self.client._dealer = dealer
        self.assertLess(flood.taken, 10000, "it was sent before the flood was over")
        self.assertEqual("".join(piece.text for piece in stream), "t0 t1 t2 ")


class ConnectionTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.endpoint = f"ipc://{self.folder.name}/s"

    def tearDown(self):
        self.folder.cleanup()

    def test_no_server(self):
        with Client(self.endpoint, connect_timeout=0.2) as client:
            start = time.monotonic()
            with self.assertRaises(swapserve.Unreachable) as caught:
                client.status()
            self.assertGreaterEqual(time.monotonic() - start, 0.2)
            self.assertIn(self.endpoint, str(caught.exception))
            self.assertIsInstance(caught.exception, ConnectionError)

    def test_endpoints(self):
        with self.assertRaises(ValueError):
            Client("localhost:5555")
        with self.assertRaises(ValueError):
            Client("tcp://127.0.0.1:*")  # a server's, not a client's
        with self.assertRaises(ValueError):
            Client(self.endpoint, server_key=b"x" * 40)
        os.environ["SWAPSERVE_ENDPOINT"] = self.endpoint
        try:
            with Client(connect_timeout=0.05) as client:
                with self.assertRaisesRegex(swapserve.Unreachable, self.folder.name):
                    client.status()
        finally:
            del os.environ["SWAPSERVE_ENDPOINT"]

    def test_lost_and_found(self):
        server = Server(self.endpoint)
        with Client(self.endpoint, timeout=20) as client:
            stream = client.stream("slow", "x", max_tokens=100000)
            next(stream)
            server.stop()
            with self.assertRaises(swapserve.ConnectionLost):
                for _ in stream:
                    pass
            server = Server(self.endpoint)
            self.assertEqual(client.generate("echo", "x", max_tokens=1).text, "t0 ")
            self.assertEqual(client.status().accepted, 1)
        server.stop()

    def test_keys(self):
        # The fake server has no keys: a client with keys cannot come in, and says so.
        server = Server(self.endpoint)
        server_key, _ = zmq.curve_keypair()
        public_key, secret_key = zmq.curve_keypair()
        with Client(
            self.endpoint,
            connect_timeout=0.5,
            server_key=server_key,
            public_key=public_key,
            secret_key=secret_key,
        ) as client:
            with self.assertRaises(swapserve.Unreachable):
                client.status()
        server.stop()

    def test_answers_that_make_no_sense(self):
        for answer in (
            b"\xdd\x0f\xff\xff\xff",
            b"",
            msgpack.packb([1]),
            msgpack.packb({"v": 9, "op": "ok", "id": 1, "seq": 0, "fin": True}),
            msgpack.packb({"v": 1, "op": "ok", "id": 1, "seq": 5, "fin": True}),
            msgpack.packb({"v": 1, "op": "done", "id": 1, "seq": 0, "fin": True, "text": b"\xff"})
            .replace(b"\xc4\x01\xff", b"\xa1\xff"),
            msgpack.packb({"v": 1, "op": "confetti", "id": 1, "seq": 0, "fin": True}),
        ):
            with self.subTest(answer=answer):
                self.expect_protocol_error(answer)

    def expect_protocol_error(self, answer):
        context = zmq.Context()
        router = context.socket(zmq.ROUTER)
        router.setsockopt(zmq.LINGER, 0)
        router.bind(self.endpoint)

        def lie():
            identity, _ = router.recv_multipart()
            router.send_multipart([identity, answer])
            router.close(200)

        liar = threading.Thread(target=lie)
        liar.start()
        try:
            with Client(self.endpoint, timeout=10) as client:
                with self.assertRaises(swapserve.ProtocolError):
                    client.generate("echo", "x")
        finally:
            liar.join(10)
            context.term()


class AsyncTest(WithServer):
    def run_with(self, body, **options):
        async def run():
            async with AsyncClient(self.server.endpoint, timeout=20, **options) as client:
                await body(client)

        asyncio.run(run())

    def test_generate_and_control(self):
        async def body(client):
            result = await client.generate("echo", "hello", max_tokens=3)
            self.assertEqual(result.text, "t0 t1 t2 ")
            self.assertEqual(len((await client.status()).models), 2)
            self.assertEqual(len(await client.models()), 7)
            await client.load("echo")
            await client.drop("echo")
            with self.assertRaises(swapserve.UnknownModel):
                await client.generate("nosuch", "x")
            await client.drain()
            with self.assertRaises(swapserve.Draining):
                await client.generate("echo", "x")
            await client.shutdown()

        self.run_with(body)

    def test_many_at_once(self):
        async def body(client):
            results = await asyncio.gather(
                *(client.generate("echo", "x", max_tokens=1 + i % 5) for i in range(500))
            )
            self.assertEqual([len(r.tokens) for r in results], [1 + i % 5 for i in range(500)])

        self.run_with(body)

    def test_streams(self):
        async def one(client, count):
            stream = client.stream("slow", "x", max_tokens=count)
            text = "".join([piece.text async for piece in stream])
            self.assertEqual(text, stream.result.text)
            return stream.result.usage.completion_tokens

        async def body(client):
            counts = await asyncio.gather(*(one(client, count) for count in (3, 4, 5)))
            self.assertEqual(counts, [3, 4, 5])

        self.run_with(body)

    def test_cancel_and_leaving_early(self):
        async def body(client):
            stream = client.stream("slow", "x", max_tokens=100000)
            await stream.__anext__()
            await stream.cancel()
            async for _ in stream:
                pass
            self.assertEqual(stream.result.finish_reason, "cancelled")
            async with client.stream("slow", "x", max_tokens=100000) as other:
                await other.__anext__()
            await self.wait_idle(client)

        self.run_with(body)

    async def wait_idle(self, client):
        deadline = time.monotonic() + 10
        while (await client.status()).running > 0:
            self.assertLess(time.monotonic(), deadline, "the request still runs")
            await asyncio.sleep(0.01)

    def test_timeouts_and_cancelled_tasks(self):
        async def body(client):
            with self.assertRaises(swapserve.RequestTimeout):
                await client.generate("stuck", "x", timeout=0.1)
            await self.wait_idle(client)
            task = asyncio.ensure_future(client.generate("stuck", "x"))
            while (await client.status()).running == 0:
                await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await self.wait_idle(client)

        self.run_with(body)

    def test_connection(self):
        folder = tempfile.TemporaryDirectory()
        endpoint = f"ipc://{folder.name}/s"

        async def body():
            async with AsyncClient(endpoint, connect_timeout=0.2) as client:
                with self.assertRaises(swapserve.Unreachable):
                    await client.status()
            server = Server(endpoint)
            async with AsyncClient(endpoint) as client:
                stuck = asyncio.ensure_future(client.generate("stuck", "x"))
                while (await client.status()).running == 0:
                    await asyncio.sleep(0.01)
                server.stop()
                with self.assertRaises(swapserve.ConnectionLost):
                    await stuck
                server = Server(endpoint)
                result = await client.generate("echo", "x", max_tokens=1, timeout=20)
                self.assertEqual(result.text, "t0 ")
                server.stop()

        asyncio.run(body())
        folder.cleanup()


class WireTest(unittest.TestCase):
    def test_probes_and_late_answers_go_nowhere(self):
        got = []
        calls = Calls()
        call = calls.open(got.append)
        call.sent = True
        probe = {"v": 1, "seq": 0, "id": None, "op": "probe", "fin": False}
        calls.take(msgpack.packb(probe))
        calls.take(msgpack.packb({**probe, "id": 99, "op": "done", "fin": True}))
        self.assertEqual(got, [])
        calls.take(msgpack.packb({**probe, "id": call.id, "op": "ok", "fin": True, "new": [1]}))
        self.assertEqual(got[0]["op"], "ok")
        self.assertEqual(calls.live, {})

    def test_seconds_become_milliseconds(self):
        self.assertEqual(submit_fields("m", "x", deadline=1.5)["deadline_ms"], 1500)
        self.assertEqual(submit_fields("m", "x", deadline=0.0001)["deadline_ms"], 1)
        self.assertNotIn("deadline_ms", submit_fields("m", "x"))


if __name__ == "__main__":
    unittest.main()
