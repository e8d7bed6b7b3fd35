"""How servers begin and end in order: drains of three kinds, a second signal, a shutdown."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from experiments.server import Server
from serving import (
    Peer, config, eventually, expect, expect_equal, expect_golden, free_port, golden, main,
    run_swapserve, serving, swapctl,
)  # fmt: skip

# Loads take a second or so: what is asked for at once is in flight for that long.
SLOW = config("opt-tiny", "llama-tiny", device={"link": {"bandwidth": "1200KB/s"}})
IN_FLIGHT = 30
COUNT = 6


def fill(server: Server, peer: Peer) -> None:
    """Requests in flight: queued behind a load."""
    for number in range(1, IN_FLIGHT + 1):
        model = ("opt-tiny", "llama-tiny")[number % 2]
        peer.submit(number, model, golden(model)["prompt_ids"], max_tokens=COUNT, ignore_eos=True,
                    stream=number % 3 == 0)  # fmt: skip
    with server.client() as client:
        eventually(lambda: client.status().accepted >= IN_FLIGHT, "all accepted")


def expect_all_answered(peer: Peer, refused: int) -> None:
    """Every request of fill() is answered in full, REFUSED ones with `draining`."""
    tokens: dict[int, list[int]] = {number: [] for number in range(1, IN_FLIGHT + 1)}
    left = set(tokens) | set(range(1000, 1000 + refused))
    while left:
        reply = peer.receive()
        number = reply["id"]
        if number >= 1000:
            expect_equal(reply.get("code"), "draining", f"request {number}, after the drain")
            left.remove(number)
            continue
        expect(reply["op"] in ("tokens", "done"), f"request {number}: {reply}")
        tokens[number] += reply["tokens"]
        if reply["fin"]:
            left.remove(number)
    for number, found in tokens.items():
        wanted = golden(("opt-tiny", "llama-tiny")[number % 2])["greedy_ids"][:COUNT]
        expect_equal(found, wanted, f"request {number}")


def drained_by(ask: Callable[[Server], None]) -> None:
    with serving(SLOW) as server, Peer(server.endpoint) as peer:
        fill(server, peer)
        ask(server)
        eventually(lambda: "draining" in server.tail(), "it drains")
        for number in range(1000, 1003):
            peer.submit(number, "opt-tiny", [2], max_tokens=1)
        expect_all_answered(peer, refused=3)
        expect_equal(server.wait(), 0, "exit status")
        expect("drained" in server.tail(), server.tail())


def test_drain_by_swapctl() -> None:
    def ask(server: Server) -> None:
        start = time.monotonic()
        done = swapctl(server.endpoint, "drain")
        expect_equal(done.returncode, 0, done.stdout + done.stderr)
        expect("draining" in done.stdout, done.stdout)
        expect(time.monotonic() - start < 2.0, "a drain is answered when it begins")
        expect_equal(swapctl(server.endpoint, "drain").returncode, 0, "a second one does no harm")

    drained_by(ask)


def test_drain_by_sigterm_to_a_rank() -> None:
    drained_by(lambda server: os.kill(server.rank_pids()[2], signal.SIGTERM))


def test_drain_by_sigterm_to_every_rank() -> None:
    def ask(server: Server) -> None:
        for pid in server.rank_pids():
            os.kill(pid, signal.SIGTERM)

    drained_by(ask)


def test_drain_by_sigusr1_to_mpirun() -> None:
    drained_by(lambda server: os.kill(server.pids()[0], signal.SIGUSR1))


def test_second_signal_ends_at_once() -> None:
    with serving(SLOW) as server, Peer(server.endpoint) as peer:
        fill(server, peer)
        rank = server.rank_pids()[0]
        os.kill(rank, signal.SIGTERM)
        eventually(lambda: "draining" in server.tail(), "it drains")
        start = time.monotonic()
        os.kill(rank, signal.SIGTERM)
        code = server.wait(10)
        expect(code != 0, "a second signal is no drain")
        expect(time.monotonic() - start < 5, "a second signal ends at once")


def test_files_that_cannot_be_written() -> None:
    """A trace is refused before the work that it is to show; a record that is not whole is no
    success."""
    with serving(SLOW, arguments=["--record", "/dev/full"]) as server, server.client() as client:
        expect_golden(client, "opt-tiny")
        expect(server.drain() != 0, "the record is not whole")
        expect("/dev/full is not whole: No space left" in server.tail(60), server.tail(60))
        path = server.log.parent / "config.yaml"
        done = run_swapserve(path, 4, "--trace", "/nowhere/trace", timeout=30)
        expect(done.returncode not in (0, 124), f"exit status {done.returncode}")
        expect("/nowhere/trace cannot be written: No such file" in done.stdout, done.stdout)
        expect("ready" not in done.stdout, done.stdout)


def test_who_comes_early() -> None:
    """While the server reads its models it says so; nobody is kept waiting."""
    big = {"group": {"tp": 1, "pp": 1},
           "models": [{"name": "big", "synthetic": "opt-350m", "context": 256}],
           "device": {"kind": "cpu", "compute": "paced", "pool": "1GiB", "page": "1MiB",
                      "profile": {"memory_bandwidth": "1TB/s", "flops": "100TFLOP/s"}}}  # fmt: skip
    endpoint, answers = free_port(), []

    def knock() -> None:
        with Peer(endpoint) as peer:
            for number in range(1, 1000):
                peer.submit(number, "big", [2], max_tokens=1)
                answers.append(peer.receive_last(number))
                if answers[-1]["op"] == "done":
                    return
                time.sleep(0.02)

    early = threading.Thread(target=knock)
    early.start()
    with serving(big, ranks=1, endpoint=endpoint) as server:
        early.join()
        expect_equal(server.drain(), 0, "exit status")
    expect(len(answers) > 1, "it is refused at first")
    expect_equal(answers[-1]["op"], "done", "the last answer")
    for answer in answers[:-1]:
        expect_equal(answer.get("code"), "overloaded", f"{answer}")
        expect("is starting" in answer["message"], f"{answer}")


def test_shutdown() -> None:
    """Ends without finishing; what was accepted is answered as cancelled."""
    with serving(SLOW) as server, Peer(server.endpoint) as peer:
        fill(server, peer)
        done = swapctl(server.endpoint, "shutdown")
        expect_equal(done.returncode, 0, done.stdout + done.stderr)
        left = set(range(1, IN_FLIGHT + 1))
        while left:
            reply = peer.receive()
            if reply["fin"]:
                ended = reply.get("finish_reason", reply.get("code"))
                expect_equal(ended, "cancelled", f"request {reply['id']}")
                left.remove(reply["id"])
        expect_equal(server.wait(), 0, "exit status")


if __name__ == "__main__":
    main(test_drain_by_swapctl, test_drain_by_sigterm_to_a_rank,
         test_drain_by_sigterm_to_every_rank, test_drain_by_sigusr1_to_mpirun,
         test_second_signal_ends_at_once, test_files_that_cannot_be_written, test_who_comes_early,
         test_shutdown)  # fmt: skip
