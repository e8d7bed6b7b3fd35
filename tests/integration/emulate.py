"""Computron's rules, switched on one by one: the same answers, but bytes move back and first tokens
come later. Without them, a drop moves nothing."""

from __future__ import annotations

import statistics
from typing import Any

from serving import config, expect, expect_drained, expect_equal, golden, main, model, serving
from swapserve import Client, Status

PAIR = ("opt-tiny", "llama-tiny")
TURNS = 2
LINK = {"bandwidth": "8MB/s", "latency": "20us"}  # a load takes an eighth of a second or so


def take_turns(client: Client) -> list[float]:
    """Cold requests by turns, each model dropped before its next one; seconds to first tokens."""
    first = []
    for _ in range(TURNS):
        for model in PAIR:
            item = golden(model)
            result = client.generate(
                model, item["prompt_ids"], max_tokens=12, ignore_eos=True
            )  # fmt: skip
            expect_equal(result.tokens, item["greedy_ids"][:12], f"{model}'s answer")
            expect(result.timing.cold, f"{model} was dropped before")
            first.append(result.timing.first_token_ns / 1e9)
            client.drop(model)
    return first


def run(**switches: bool) -> tuple[list[float], Status]:
    options: dict[str, Any] = config(*PAIR, device={"link": LINK}, emulate=switches)
    with serving(options) as server, server.client() as client:
        first = take_turns(client)
        status = client.status()
        expect_drained(server)
    expect_equal(status.drops, TURNS * len(PAIR), "drops")
    expect_equal(status.loads, TURNS * len(PAIR), "loads")
    expect_equal(status.bytes_loaded, TURNS * sum(m.total_bytes for m in status.models), "loaded")
    print(f"  {switches or 'none'}: first token after {statistics.median(first) * 1e3:.0f} ms, "
          f"{status.bytes_copied_back} bytes copied back")  # fmt: skip
    return first, status


def test_switches() -> None:
    _, status = run()
    expect_equal(status.bytes_copied_back, 0, "a drop moves nothing")
    _, status = run(copy_back=True)
    expect_equal(status.bytes_copied_back, status.bytes_loaded, "all that was dropped is copied")
    _, status = run(wait_whole_load=True)
    expect_equal(status.bytes_copied_back, 0, "a drop moves nothing")
    _, status = run(poll=True)
    expect_equal(status.bytes_copied_back, 0, "a drop moves nothing")


def test_polls_delay() -> None:
    """A model at hand: steps follow each other at once, or at the next poll."""
    item = golden("opt-tiny")
    best = {}
    for switch in (False, True):
        options = config("opt-tiny", emulate={"poll": switch})
        with serving(options) as server, server.client() as client:
            times = []
            client.load("opt-tiny")
            for _ in range(5):
                result = client.generate(
                    "opt-tiny", item["prompt_ids"], max_tokens=48, ignore_eos=True
                )  # fmt: skip
                expect_equal(result.tokens, item["greedy_ids"], "the answer")
                times.append(result.timing.total_ns / 1e9)
            best[switch] = min(times)
            expect_drained(server)
    print(f"  48 tokens in {best[False]:.3f} s, polling {best[True]:.3f} s")
    expect(best[True] > best[False] + 0.1, f"{best}")


def test_whole_loads_delay() -> None:
    """A load of half a second and a step of nearly as much: side by side, or one after another."""
    first = {}
    for switch in (False, True):
        options: dict[str, Any] = {
            "device": {"kind": "cpu", "pool": "8MiB", "page": "16KiB", "piece": "64KiB",
                       "link": {"bandwidth": "8MB/s"}, "compute": "paced",
                       "profile": {"memory_bandwidth": "10MB/s", "flops": "1TFLOP/s"}},
            "emulate": {"wait_whole_load": switch},
            "models": [model("opt-tiny")],
        }  # fmt: skip
        with serving(options, ranks=1) as server, server.client() as client:
            times = []
            for _ in range(3):
                result = client.generate("opt-tiny", [2, 7], max_tokens=1)
                times.append(result.timing.first_token_ns / 1e9)
                client.drop("opt-tiny")
            first[switch] = min(times)
            expect_drained(server)
    print(f"  first token after {first[False]:.2f} s, after the whole load {first[True]:.2f} s")
    expect(first[True] > first[False] + 0.15, f"{first}")


def test_all_together() -> None:
    _, status = run(copy_back=True, wait_whole_load=True, poll=True)
    expect_equal(status.bytes_copied_back, status.bytes_loaded, "all that was dropped is copied")


def test_swaps_move_nothing_back() -> None:
    """The same where the server itself drops what is in the way."""
    for copy_back in (False, True):
        options = config(*PAIR, device={"pool": "2MiB"}, emulate={"copy_back": copy_back})
        with serving(options) as server, server.client() as client:
            for turn in range(6):
                item = golden(PAIR[turn % 2])
                result = client.generate(PAIR[turn % 2], item["prompt_ids"], max_tokens=4)
                expect_equal(result.tokens, item["greedy_ids"][:4], f"turn {turn}")
            status = client.status()
            resident = sum(model.resident_bytes for model in status.models)
            expect(status.drops >= 5, f"{status.drops} drops: the models do not fit together")
            dropped = status.bytes_loaded - resident
            expect_equal(status.bytes_copied_back, dropped if copy_back else 0, "copied back")
            expect_drained(server)


if __name__ == "__main__":
    main(test_switches, test_polls_delay, test_whole_loads_delay, test_all_together,
         test_swaps_move_nothing_back)  # fmt: skip
