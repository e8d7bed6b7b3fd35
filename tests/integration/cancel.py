"""Requests that end before their time: cancelled in every state, deadlines, streams left early."""

from __future__ import annotations

import time

from experiments.server import Server
from serving import (
    Peer, config, eventually, expect, expect_drained, expect_equal, expect_error, expect_golden,
    golden, main, serving,
)  # fmt: skip
from swapserve import Busy, Client, DeadlineExceeded

# A load takes three seconds: long enough to do something behind it.
SLOW = config("opt-tiny", "llama-tiny", device={"link": {"bandwidth": "400KB/s"}})
# Room for one: whoever is asked next is behind a load.
ALONE = config(
    "opt-tiny", "llama-tiny", device={"link": {"bandwidth": "400KB/s"}, "pool": "2MiB"}
)
LONG = {"max_tokens": 200, "ignore_eos": True}
PROMPT = golden("llama-tiny")["prompt_ids"]


def at_rest(client: Client) -> bool:
    status = client.status()
    return status.queued == status.running == 0 and status.accepted == status.answered


def expect_cancelled(reply: dict[str, object], what: str) -> None:
    ended = reply.get("finish_reason", reply.get("code"))
    expect_equal(ended, "cancelled", what)


def test_behind_a_load() -> None:
    with serving(SLOW) as server, Peer(server.endpoint) as peer, server.client() as client:
        for number in range(1, 7):
            peer.submit(number, "llama-tiny", PROMPT, max_tokens=6, ignore_eos=True)
        eventually(lambda: client.status().accepted == 6, "all accepted")
        start = time.monotonic()
        for number in (1, 4, 6):
            peer.send("cancel", 100 + number, target=number)
        cancelled = set()
        while len(cancelled) < 3:
            reply = peer.receive()
            if reply["id"] > 100:
                expect(reply["op"] == "ok" and reply["found"], f"the cancel's answer: {reply}")
                continue
            expect_cancelled(reply, f"request {reply['id']}")
            cancelled.add(reply["id"])
        expect_equal(cancelled, {1, 4, 6}, "those that were cancelled")
        expect(time.monotonic() - start < 2.0, "they are answered without waiting for the load")
        for _ in range(3):
            reply = peer.receive()
            expect(reply["id"] in (2, 3, 5), f"an answer to {reply['id']}")
            expect_equal(reply["tokens"], golden("llama-tiny")["greedy_ids"][:6], "the others")
        peer.send("cancel", 200, target=2)
        expect_equal(peer.receive()["found"], False, "what was answered is not found")
        eventually(lambda: at_rest(client), "at rest")
        expect_drained(server)


def test_the_only_one_behind_a_load() -> None:
    """The load goes on or not, but the next request is answered."""
    with serving(ALONE) as server, Peer(server.endpoint) as peer, server.client() as client:
        for number in (1, 2):
            peer.submit(number, "opt-tiny", [2, 7], **LONG)
            eventually(lambda: client.status().running + client.status().queued == 1, "it waits")
            peer.send("cancel", 100 + number, target=number)
            expect_cancelled(peer.receive_last(number, 2.0), f"request {number}")
            expect_golden(client, "llama-tiny")
        eventually(lambda: at_rest(client), "at rest")
        expect_golden(client, "opt-tiny")
        expect_drained(server)


def test_running_and_streaming() -> None:
    # A step every 10 ms: an answer takes seconds, and is there to be cancelled.
    slow = config("llama-tiny", emulate={"poll": True})
    with serving(slow) as server, Peer(server.endpoint) as peer:
        with server.client() as client:
            client.load("llama-tiny")
            for stream in (False, True):
                peer.submit(1, "llama-tiny", PROMPT, stream=stream, **LONG)
                eventually(lambda: client.status().models[0].running == 1, "it runs")
                expect_error(Busy, lambda: client.drop("llama-tiny"))
                peer.send("cancel", 2, target=1)
                got: list[int] = []
                while True:
                    reply = peer.receive()
                    if reply["id"] == 1:
                        got += reply["tokens"]
                        if reply["fin"]:
                            break
                expect_equal(reply["finish_reason"], "cancelled", f"stream {stream}")
                wanted = golden("llama-tiny")["greedy_ids"][: len(got)]
                expect_equal(got[: len(wanted)], wanted, "what there was of it")
                expect(len(got) < 200, "it ended early")
                expect_equal(reply["usage"]["completion_tokens"], len(got), "usage")
                eventually(lambda: at_rest(client), "at rest")
            with client.stream("llama-tiny", PROMPT, **LONG) as left_early:
                next(iter(left_early))
            eventually(lambda: at_rest(client), "a stream that was left is cancelled")
            client.drop("llama-tiny")
            expect_equal(client.status().ranks[0].pool_used_bytes, 0, "nothing stays in the pool")
            expect_golden(client, "llama-tiny")
        expect_drained(server)


def deadline_of(client: Client, seconds: float, prompt: list[int]) -> float:
    start = time.monotonic()
    expect_error(
        DeadlineExceeded,
        lambda: client.generate("llama-tiny", prompt, deadline=seconds, **LONG),
    )
    return time.monotonic() - start


def test_deadlines() -> None:
    with serving(SLOW) as server, server.client() as client:
        took = deadline_of(client, 0.2, PROMPT)
        expect(0.2 <= took < 2.0, f"behind a load, 0.2 s took {took:.2f} s")
        client.load("llama-tiny")
        result = client.generate("llama-tiny", PROMPT, max_tokens=6, deadline=30, ignore_eos=True)
        expect_equal(result.tokens, golden("llama-tiny")["greedy_ids"][:6], "in time")
        took = deadline_of(client, 0.01, PROMPT)
        expect(took < 2.0, f"at work, 0.01 s took {took:.2f} s")
        eventually(lambda: at_rest(client), "at rest")
        expect_golden(client, "llama-tiny")
        expect_drained(server)


def test_many() -> None:
    """Cancels at every moment, and nothing that was not cancelled is lost."""
    options = config(device={"link": {"bandwidth": "8MB/s"}})
    with serving(options) as server, Peer(server.endpoint) as peer, server.client() as client:
        storm(server, peer)
        eventually(lambda: at_rest(client), "at rest")
        for name in ("opt-tiny", "llama-tiny", "qwen2-tiny"):
            expect_golden(client, name)
        expect_drained(server)


def storm(server: Server, peer: Peer) -> None:
    names = ("opt-tiny", "llama-tiny", "qwen2-tiny")
    count = 150
    for number in range(1, count + 1):
        name = names[number * number % 3]
        peer.submit(number, name, golden(name)["prompt_ids"], max_tokens=16, ignore_eos=True,
                    stream=number % 2 == 0)  # fmt: skip
        if number % 5 < 2:
            time.sleep(0.013 * (number % 7) / 7)
            peer.send("cancel", 1000 + number, target=number - number % 3)
    tokens: dict[int, list[int]] = {number: [] for number in range(1, count + 1)}
    left = set(tokens)
    while left:
        reply = peer.receive()
        number = reply["id"]
        if number > 1000:
            continue
        expect(number in left, f"request {number} was answered before: {reply}")
        expect(reply.get("op") != "error" or reply["code"] == "cancelled", f"{reply}")
        tokens[number] += reply.get("tokens", [])
        if reply["fin"]:
            left.remove(number)
            wanted = golden(names[number * number % 3])["greedy_ids"][:16]
            if reply.get("finish_reason") == "length":
                expect_equal(tokens[number], wanted, f"request {number}")
            else:
                expect_cancelled(reply, f"request {number}")
                expect_equal(tokens[number], wanted[: len(tokens[number])], f"request {number}")


if __name__ == "__main__":
    main(test_behind_a_load, test_the_only_one_behind_a_load, test_running_and_streaming,
         test_deadlines, test_many)  # fmt: skip
