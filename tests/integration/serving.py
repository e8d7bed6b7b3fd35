"""What the tests of whole servers stand on: configurations, goldens, expectations, raw clients.

A test is a program; main(TESTS...) runs its functions in order, says what each took, and ends with
1 at the first failed expectation, with the server's log where there is one.
"""

from __future__ import annotations

import faulthandler
import json
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import zmq

from experiments.server import MPI, ROOT, Server, default_build
from swapserve import Client, Result

GOLDEN = ROOT / "tests" / "golden"
MODELS = ("opt-tiny", "llama-tiny", "qwen2-tiny")
HANG_SECONDS = 240.0
QUICKSTART = ROOT / "configs" / "quickstart.yaml"
SWAPSERVE = default_build() / "engine" / "serve" / "swapserve"
SWAPCTL = default_build() / "rpc" / "swapctl"


class Failed(AssertionError):
    """An expectation that does not hold."""


def expect(holds: object, what: str) -> None:
    if not holds:
        raise Failed(what)


def expect_equal(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise Failed(f"{what}:\n  found    {found!r}\n  expected {wanted!r}")


def expect_error(kind: type[BaseException], call: Callable[[], object], *words: str) -> str:
    """CALL raises KIND with a message that holds WORDS; returns the message."""
    try:
        found = call()
    except kind as error:
        for word in words:
            expect(word in str(error), f"{kind.__name__}: {error}: does not say {word!r}")
        return str(error)
    raise Failed(f"no {kind.__name__}, but {found!r}")


def eventually(holds: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Waits until HOLDS() is true."""
    limit = time.monotonic() + seconds
    while not holds():
        expect(time.monotonic() < limit, f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def main(*tests: Callable[[], None]) -> None:
    """Runs TESTS, or those that the command line names, and ends the program."""
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    names = sys.argv[1:]
    for test in tests:
        if names and test.__name__ not in names:
            continue
        start = time.monotonic()
        try:
            test()
        except Exception:
            traceback.print_exc()
            print(f"{test.__name__}: failed after {time.monotonic() - start:.1f} s", flush=True)
            sys.exit(1)
        print(f"{test.__name__}: {time.monotonic() - start:.1f} s", flush=True)
    sys.exit(0)


# --- servers ------------------------------------------------------------------------------------


def config(*models: str, **parts: Any) -> dict[str, Any]:
    """The quickstart's server for MODELS (default: its three), with PARTS in the place of its own;
    a map is merged into the one that is there."""
    made: dict[str, Any] = {
        "group": {"tp": 2, "pp": 2},
        "device": {"kind": "cpu", "pool": "3MiB", "page": "16KiB", "piece": "64KiB"},
        "arena": {"spill": "4MiB"},
        "limits": {"slots": 32, "batch": 8, "step_tokens": 256},
        "models": [model(name) for name in models or MODELS],
    }
    for key, value in parts.items():
        made[key] = {**made.get(key, {}), **value} if isinstance(value, dict) else value
    return made


def model(name: str, **parts: Any) -> dict[str, Any]:
    return {"name": name, "path": str(GOLDEN / "models" / name), **parts}



@contextmanager
def serving(*arguments: Any, **named: Any) -> Iterator[Server]:
    """A Server whose log is shown where the block fails."""
    with Server(*arguments, **named) as server:
        try:
            yield server
        except BaseException as error:
            if isinstance(error, SystemExit) and not error.code:
                raise
            print(f"--- the server's log\n{server.tail(60)}\n---", flush=True)
            raise


def expect_drained(server: Server) -> None:
    expect_equal(server.drain(), 0, "the exit status after a drain")
    expect("drained" in server.tail(), f"the log does not tell of the drain:\n{server.tail()}")


def goldens(name: str, dtype: str = "fp32") -> list[dict[str, Any]]:
    """The prompts of a model and what it must answer: see tests/golden/README.md."""
    text = (GOLDEN / "expected" / f"{name}-{dtype}.json").read_text(encoding="utf-8")
    prompts: list[dict[str, Any]] = json.loads(text)["prompts"]
    return prompts


def golden(name: str, prompt: str = "sentence") -> dict[str, Any]:
    return next(item for item in goldens(name) if item["name"] == prompt)


def expect_golden(client: Client, name: str, prompt: str = "sentence", **options: Any) -> Result:
    """The server works: it continues a prompt as transformers does."""
    item = golden(name, prompt)
    count = options.pop("max_tokens", 8)
    result = client.generate(
        name, item["prompt_ids"], max_tokens=count, ignore_eos=True, **options
    )
    expect_equal(result.tokens, item["greedy_ids"][:count], f"{name}'s answer to {prompt!r}")
    return result


def run_swapserve(
    path: Path | str, ranks: int = 0, *arguments: str, timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    """swapserve with the config PATH to its end, by itself or (RANKS) under mpirun."""
    command = [str(SWAPSERVE), "--config", str(path), *arguments]
    if ranks:
        command = ["mpirun", "-np", str(ranks), *command]
    return subprocess.run(
        command, env={**os.environ, **MPI}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
    )  # fmt: skip


def free_port() -> str:
    """An endpoint that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def swapctl(
    endpoint: str, *arguments: str, stdin: str = "", timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(SWAPCTL), *arguments], env={**os.environ, "SWAPSERVE_ENDPOINT": endpoint},
        input=stdin, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


# --- clients that keep no rules -----------------------------------------------------------------


class Peer:
    """A DEALER that sends what it is given and gathers what comes."""

    def __init__(self, endpoint: str) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(endpoint)

    def send(self, op: str, number: object, **fields: Any) -> None:
        self.socket.send(msgpack.packb({"v": 1, "id": number, "op": op, **fields}))

    def submit(self, number: int, name: str, tokens: Iterable[int], **fields: Any) -> None:
        self.send("submit", number, model=name, tokens=list(tokens), **fields)

    def send_raw(self, *frames: bytes) -> None:
        self.socket.send_multipart(frames)

    def receive(self, seconds: float = 20.0) -> dict[str, Any]:
        """The next answer that is no probe."""
        limit = time.monotonic() + seconds
        while True:
            left = max(0.0, limit - time.monotonic())
            expect(self.socket.poll(int(left * 1000)), f"no answer within {seconds:g} s")
            reply: dict[str, Any] = msgpack.unpackb(self.socket.recv())
            if reply["op"] != "probe":
                return reply

    def receive_last(self, number: int, seconds: float = 20.0) -> dict[str, Any]:
        """The last answer to request NUMBER; others on the way to it are let go."""
        while True:
            reply = self.receive(seconds)
            if reply.get("id") == number and reply["fin"]:
                return reply

    def is_silent(self, seconds: float) -> bool:
        return not self.socket.poll(int(seconds * 1000))

    def close(self) -> None:
        self.socket.close(0)
        self.context.term()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
