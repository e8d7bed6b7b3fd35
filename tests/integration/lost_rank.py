"""A rank that fails ends the job; whatever was accepted is answered first, whichever rank it is."""

from __future__ import annotations

from serving import Peer, config, expect, expect_equal, golden, main, serving

REQUESTS = 24
CALLS = 8000  # device calls before the fault: after the load, and before all are answered
# The load takes a second or so, in which all requests come.
SLOW = config("opt-tiny", device={"link": {"bandwidth": "1200KB/s"}})


def lose(rank: int) -> None:
    fault = {"SWAPSERVE_FAULT": f"device:{CALLS}", "SWAPSERVE_FAULT_RANK": str(rank)}
    prompt = golden("opt-tiny")["prompt_ids"]
    with serving(SLOW, environ=fault) as server, Peer(server.endpoint) as peer:
        for number in range(1, REQUESTS + 1):
            peer.submit(number, "opt-tiny", prompt, max_tokens=200, ignore_eos=True,
                        stream=number % 2 == 0)  # fmt: skip
        lost, left = 0, set(range(1, REQUESTS + 1))
        while left:
            reply = peer.receive()
            if not reply["fin"]:
                continue
            left.remove(reply["id"])
            if reply["op"] == "error":
                expect_equal(reply["code"], "internal", f"request {reply['id']}: {reply}")
                lost += 1
        expect(lost > 0, "the fault came after all answers: plant it earlier")
        expect(server.wait() != 0, "a lost rank is a failure")
        expect("planted fault" in server.tail(60), server.tail(60))


def test_rank_0_fails() -> None:
    lose(0)


def test_another_rank_fails() -> None:
    lose(3)


if __name__ == "__main__":
    main(test_rank_0_fails, test_another_rank_fails)
