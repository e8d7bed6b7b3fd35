"""Whatever clients send, the server answers with an error, keeps serving, and loses nothing."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import msgpack

from experiments.server import Server
from serving import (
    MODELS, Peer, config, eventually, expect, expect_drained, expect_equal, expect_golden,
    free_port, golden, main, serving,
)  # fmt: skip
from swapserve import Client

FRAME_MAX = 64 << 10
# What is accepted stays in flight for about a second; a socket to bend comes with TCP alone.
CONFIG = config(
    "opt-tiny",
    "llama-tiny",
    device={"link": {"bandwidth": "4MB/s"}, "pool": "2MiB"},
    limits={"requests": 200, "prompt_tokens": 100},
    server={"frame_max": f"{FRAME_MAX // 1024}KiB"},
)

server: Server
client: Client
LONG = {"max_tokens": 40, "ignore_eos": True}


def packed(**fields: Any) -> bytes:
    return msgpack.packb({"v": 1, "id": 7, **fields})


def submit(**fields: Any) -> bytes:
    return packed(**{"op": "submit", "model": "opt-tiny", "tokens": [2], "max_tokens": 1, **fields})


def nested(depth: int) -> bytes:
    return b"\x82\xa1v\x01\xa1x" + b"\x91" * depth + b"\x01"


GOOD = submit()
BOMBS = [
    b"\xdd\x0f\xff\xff\xff",
    b"\xdf\x0f\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\x82\xa1v\x01\xa6tokens\xdd\x0f\xff\xff\xff",
    b"\x81\xa6tokens\xdd\x00\x00\xff\xff" + b"\x01" * 100,
    nested(5),
    nested(50_000),
    b"\xde\xff\xff" + b"\xa1a\x01" * 1000,
]
MALFORMED: list[bytes] = [
    b"",
    b"\x00",
    b"\xc1",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    msgpack.packb([1, 2, 3]),
    msgpack.packb("submit"),
    msgpack.packb({}),
    msgpack.packb({1: 2}),
    GOOD + b"\x00",
    GOOD + GOOD,
    b"\x82\xa1v\x01\xa1v\x01",
    packed(op="confetti"),
    packed(op=7),
    msgpack.packb({"v": 1, "op": "status"}),
    msgpack.packb({"v": 1, "id": -1, "op": "status"}),
    msgpack.packb({"v": 1, "id": "x", "op": "status"}),
    submit(model=None),
    submit(model=""),
    submit(model="m" * 129),
    submit(model="opt-tiny\x00"),
    submit(tokens=[]),
    submit(tokens=["a"]),
    submit(tokens=[-1]),
    submit(tokens=[1506]),
    submit(tokens=[1 << 40]),
    submit(tokens=None),
    submit(prompt="both"),
    submit(tokens=None, prompt=b"\xff\xfe"),
    submit(max_tokens=0),
    submit(max_tokens="9"),
    submit(temperature=-1),
    submit(temperature=float("nan")),
    submit(top_p=0),
    submit(top_p=float("inf")),
    submit(top_k=-1),
    submit(seed=-1),
    submit(stop=[""]),
    submit(stop=["x"] * 17),
    submit(stop=["x" * 257]),
    submit(stop_token_ids=list(range(65))),
    submit(deadline_ms=-5),
    submit(stream="yes"),
    submit(**{"class": "royal"}),
]


def expect_errors(frames: Iterable[bytes], codes: set[str]) -> None:
    """Each gets one error of CODES; the good request behind each is answered."""
    with Peer(server.endpoint) as peer:
        for frame in frames:
            what = f"frame {frame[:60]!r} ({len(frame)} bytes)"
            peer.send_raw(frame)
            reply = peer.receive()
            expect_equal(reply["op"], "error", f"{what}: {reply}")
            expect(reply["code"] in codes and reply["fin"], f"{what}: {reply}")
            expect(reply["message"], f"{what}: without a message")
            peer.submit(1, "opt-tiny", [2], max_tokens=1)
            reply = peer.receive()
            expect_equal((reply["id"], reply["op"]), (1, "done"), f"after {what}")


def test_malformed() -> None:
    expect_errors(MALFORMED, {"bad_request", "too_long", "unsupported_version"})


def test_bombs() -> None:
    pid = server.rank_pids()[0]
    before = peak_bytes(pid)
    expect_errors(BOMBS, {"bad_request", "too_long"})
    expect(peak_bytes(pid) - before < 32 << 20, "a bomb makes nobody reserve memory")


def peak_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def test_half_sent() -> None:
    """Every beginning of a good frame, and every byte of it bent."""
    good = submit(stop=["x"], temperature=0.5)
    beginnings = (good[:end] for end in range(1, len(good)))
    expect_errors(beginnings, {"bad_request", "unsupported_version"})
    with Peer(server.endpoint) as peer:
        for at in range(len(good)):
            for bits in (0x01, 0x80, 0xFF):
                peer.send_raw(good[:at] + bytes([good[at] ^ bits]) + good[at + 1 :])
                reply = peer.receive()
                expect(reply["op"] in ("done", "error", "ok", "status"), f"byte {at}: {reply}")
    expect_golden(client, "opt-tiny")


def test_versions_and_frames() -> None:
    for version in (0, 2, 1 << 40, -1, "1", None):
        frame = msgpack.packb({"v": version, "id": 7, "op": "status"})
        codes = {"unsupported_version", "bad_request"}
        expect_errors([frame], codes)
    with Peer(server.endpoint) as peer:
        peer.send_raw(GOOD, GOOD)
        expect_equal(peer.receive()["code"], "bad_request", "two frames")
        peer.send_raw(b"", GOOD)
        expect_equal(peer.receive()["code"], "bad_request", "a REQ's frames")
        peer.send_raw(*[b"x"] * 500)
        expect_equal(peer.receive()["code"], "bad_request", "many frames")


def test_over_limits() -> None:
    with Peer(server.endpoint) as peer:
        for number, (fields, code, words) in enumerate((
            ({"model": "opt-huge"}, "unknown_model", ("opt-huge",)),
            ({"tokens": [2] * 101}, "too_long", ("101", "100", "limits.prompt_tokens")),
            ({"tokens": [2] * 90, "max_tokens": 167}, "too_long", ("90", "167", "256")),
            ({"tokens": [2] * 300}, "too_long", ("300", "opt-tiny")),
            ({"tokens": None, "prompt": "word " * 5000}, "too_long", ()),
            ({"tokens": None, "prompt": "x" * FRAME_MAX}, "too_long", (str(FRAME_MAX),)),
        ), 1):  # fmt: skip
            peer.send_raw(submit(id=number, **fields))
            reply = peer.receive()
            what = f"{list(fields)}: {reply}"
            expect_equal((reply["op"], reply.get("code")), ("error", code), what)
            expect(all(word in reply["message"] for word in words), f"{words} in {what}")
        expect(peer.is_silent(0.1), "one answer each")


def test_huge_frame() -> None:
    """Far over the limit: the connection goes, and neither the server nor others notice."""
    with Peer(server.endpoint) as other:
        other.submit(1, "llama-tiny", golden("llama-tiny")["prompt_ids"], **LONG)
        with Peer(server.endpoint) as peer:
            for _ in range(3):
                peer.send_raw(b"\xc6" + struct.pack(">I", 8 << 20) + bytes(8 << 20))
            expect_golden(client, "opt-tiny")
        reply = other.receive_last(1)
        expect_equal(reply["tokens"], golden("llama-tiny")["greedy_ids"][:40], "another's request")


def test_ids_in_use() -> None:
    with Peer(server.endpoint) as peer:
        item = golden("llama-tiny")
        client.drop("llama-tiny")
        for _ in range(5):
            peer.submit(3, "llama-tiny", item["prompt_ids"], max_tokens=8, ignore_eos=True)
        replies = [peer.receive() for _ in range(5)]
        errors = [reply for reply in replies if reply["op"] == "error"]
        expect_equal([(e["id"], e["code"]) for e in errors], [(None, "bad_request")] * 4, "reused")
        done = next(reply for reply in replies if reply["op"] == "done")
        expect_equal((done["id"], done["tokens"]), (3, item["greedy_ids"][:8]), "the first one")
        peer.submit(3, "llama-tiny", item["prompt_ids"], max_tokens=8, ignore_eos=True)
        expect_equal(peer.receive()["op"], "done", "an id that is free again")
        with Peer(server.endpoint) as second:
            for each in (peer, second):
                each.submit(3, "llama-tiny", item["prompt_ids"], max_tokens=8, ignore_eos=True)
            for each in (peer, second):
                found = each.receive()["tokens"]
                expect_equal(found, item["greedy_ids"][:8], "two clients, one id")


VANISHING = """
import sys
from serving import Peer, golden
peer = Peer(sys.argv[1])
for number in range(1, 13):
    model = ("opt-tiny", "llama-tiny")[number % 2]
    peer.submit(number, model, golden(model)["prompt_ids"], max_tokens=150, ignore_eos=True,
                stream=True)
while peer.receive()["op"] != "tokens":
    pass
print("streaming", flush=True)
sys.stdin.read()
"""


def start_vanishing() -> "subprocess.Popen[str]":
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", VANISHING, server.endpoint], env=environ, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    expect_equal(process.stdout.readline(), "streaming\n", "the client that is to vanish")
    return process


def test_vanishing_clients() -> None:
    """Killed, or stopped, in mid-stream: their requests end, and those of others do not."""
    with Peer(server.endpoint) as peer:
        for how in (signal.SIGKILL, signal.SIGTERM):
            process = start_vanishing()
            for number in range(1, 9):
                model = ("opt-tiny", "llama-tiny")[number % 2]
                peer.submit(number, model, golden(model)["prompt_ids"], max_tokens=24,
                            ignore_eos=True)  # fmt: skip
            process.send_signal(how)
            process.communicate()
            for _ in range(8):
                reply = peer.receive()
                wanted = golden(("opt-tiny", "llama-tiny")[reply["id"] % 2])["greedy_ids"][:24]
                expect_equal(reply["tokens"], wanted, f"request {reply['id']} of another client")
            eventually(at_rest, "the vanished client's requests have ended", 10)


def at_rest() -> bool:
    status = client.status()
    return status.queued == status.running == 0 and status.accepted == status.answered


def test_other_protocols() -> None:
    """Bytes that are no ZeroMQ, connections that say nothing, or stop in the middle of a frame."""
    host, port = server.endpoint.removeprefix("tcp://").rsplit(":", 1)
    dealer = b"\x0bSocket-Type\x00\x00\x00\x06DEALER"
    huge = b"\x02" + struct.pack(">Q", 1 << 60)
    greeting = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48)
    open_connections = []
    for opening in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(500), greeting[:20], greeting,
                    greeting + b"\x04\x1c\x05READY" + dealer[:-3],
                    greeting + b"\x04\x1c\x05READY" + dealer + huge):  # fmt: skip
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(opening)
        open_connections.append(connection)
    expect_golden(client, "llama-tiny")
    for connection in open_connections:
        connection.close()
    expect_golden(client, "opt-tiny")


def test_nothing_was_lost() -> None:
    eventually(at_rest, "everything accepted was answered")
    status = client.status()
    expect(status.refused > 300, f"{status.refused} refusals are counted")
    for model in MODELS[:2]:
        client.drop(model)
    expect_equal({rank.pool_used_bytes for rank in client.status().ranks}, {0}, "an empty pool")
    expect_golden(client, "opt-tiny")
    expect_golden(client, "llama-tiny")
    expect_drained(server)


TESTS: tuple[Callable[[], None], ...] = (
    test_malformed, test_bombs, test_half_sent, test_versions_and_frames, test_over_limits,
    test_huge_frame, test_ids_in_use, test_vanishing_clients, test_other_protocols,
    test_nothing_was_lost,
)  # fmt: skip

if __name__ == "__main__":
    with ExitStack() as stack:
        server = stack.enter_context(serving(CONFIG, endpoint=free_port()))
        client = stack.enter_context(server.client())
        main(*TESTS)
