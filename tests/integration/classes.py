"""Realtime, normal and batch requests of whole servers: who overtakes whom, with the same tokens;
deadlines that cannot be met."""

from __future__ import annotations

import time

from serving import (
    config, expect, expect_drained, expect_equal, expect_error, expect_golden, golden,
    main, serving,
)  # fmt: skip
from swapserve import Client, DeadlineExceeded

LONG = {"max_tokens": 200, "ignore_eos": True}
PROMPT = golden("opt-tiny")["prompt_ids"]
# One sequence in a step: who comes later waits, but for classes.
NARROW = config("opt-tiny", "llama-tiny", limits={"batch": 1, "slots": 16})
# Room for a model and one long sequence beside it: others' KV has to leave.
TIGHT = config("llama-tiny", device={"pool": "1552KiB"})


def overtake(client: Client, model: str, other: str) -> None:
    """A realtime request to OTHER is answered long before long batch ones to MODEL, of which a few
    run at a time; these get the tokens that they get alone. By the server's times: a client that
    shares its processors with the ranks may be late to ask and to hear."""
    prompt = golden(model)["prompt_ids"]
    alone = client.generate(model, prompt, request_class="batch", **LONG)
    streams = [client.stream(model, prompt, request_class="batch", **LONG) for _ in range(8)]
    urgent = expect_golden(client, other, request_class="realtime")
    longest_ns = 0
    for stream in streams:
        for _ in stream:
            pass
        assert stream.result is not None
        expect_equal(stream.result.tokens, alone.tokens, "the tokens of a batch request")
        longest_ns = max(longest_ns, stream.result.timing.total_ns)
    took_ns = urgent.timing.total_ns
    expect(took_ns < longest_ns / 4, f"{took_ns} ns, while batch requests took {longest_ns}")


def test_overtakes_in_its_model() -> None:
    with serving(NARROW) as server, server.client() as client:
        overtake(client, "opt-tiny", "opt-tiny")
        expect_drained(server)


def test_overtakes_another_model() -> None:
    with serving(NARROW) as server, server.client() as client:
        overtake(client, "opt-tiny", "llama-tiny")
        expect_drained(server)


def test_sets_aside() -> None:
    with serving(TIGHT) as server, server.client() as client:
        overtake(client, "llama-tiny", "llama-tiny")
        expect_drained(server)


def test_deadline_at_the_door() -> None:
    slow = config("opt-tiny", "llama-tiny", device={"link": {"bandwidth": "400KB/s"}})
    with serving(slow) as server, server.client() as client:
        expect_golden(client, "opt-tiny")  # now the link's rate is known
        start = time.monotonic()
        expect_error(
            DeadlineExceeded,
            lambda: client.generate("llama-tiny", PROMPT, deadline=0.5, **LONG),
            "load, queue and steps take", "at least",
        )  # fmt: skip
        expect(time.monotonic() - start < 0.4, "it is refused at once")
        expect_golden(client, "llama-tiny", deadline=60)
        expect_drained(server)


main(test_overtakes_in_its_model, test_overtakes_another_model, test_sets_aside,
     test_deadline_at_the_door)  # fmt: skip
