"""Ten thousand requests against a limit of a thousand."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from experiments.server import Server
import zmq

from serving import (
    Peer, config, eventually, expect, expect_drained, expect_equal, expect_golden, golden, main,
    serving,
)  # fmt: skip
from swapserve import Client

LIMIT = 1000
SENT = 10_000
CLIENTS = 8
TOKENS = 2
MIB = 1 << 20
# The first load takes seconds, so that nothing is answered while the requests arrive.
CONFIG = config(
    "opt-tiny",
    "llama-tiny",
    device={"pool": "2MiB", "link": {"bandwidth": "400KB/s"}},
    limits={"requests": LIMIT},
)


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) * 1024


def is_sanitized(pid: int) -> bool:
    """AddressSanitizer keeps what is freed."""
    return "libasan" in Path(f"/proc/{pid}/maps").read_text()


def receivable(
    peers: list[Peer], answers: list[dict[int, str]]
) -> list[tuple[Peer, dict[int, str]]]:
    """Those for which something has come, a probe at least."""
    poller = zmq.Poller()
    for peer in peers:
        poller.register(peer.socket, zmq.POLLIN)
    ready = {socket for socket, _ in poller.poll(30_000)}
    expect(ready, "no answer within 30 s")
    return [pair for pair in zip(peers, answers) if pair[0].socket in ready]


def flood(server: Server, model: str) -> tuple[float, float]:
    """Sends SENT requests for MODEL, which is absent, and checks every answer. Returns the seconds
    until the last refusal and the first answer."""
    item = golden(model)
    peers = [Peer(server.endpoint) for _ in range(CLIENTS)]
    per_client = SENT // CLIENTS
    try:
        start = time.monotonic()
        for number in range(1, per_client + 1):
            for peer in peers:
                peer.submit(number, model, item["prompt_ids"], max_tokens=TOKENS, ignore_eos=True)
        answers = [dict[int, str]() for _ in peers]
        last_refusal = first_done = 0.0
        while sum(map(len, answers)) < SENT:
            for peer, mine in receivable(peers, answers):
                reply = peer.receive()
                now = time.monotonic() - start
                expect(reply["fin"] and reply["seq"] == 0, f"not one whole answer: {reply}")
                expect(reply["id"] not in mine, f"a second answer to request {reply['id']}")
                mine[reply["id"]] = reply.get("code", reply["op"])
                if reply["op"] == "done":
                    first_done = first_done or now
                    expect_equal(reply["tokens"], item["greedy_ids"][:TOKENS], "an answer")
                else:
                    last_refusal = now
        for peer in peers:
            expect(peer.is_silent(0.02), "an answer too many")
    finally:
        for peer in peers:
            peer.close()
    codes = Counter(code for mine in answers for code in mine.values())
    expect_equal(codes, Counter(done=LIMIT, overloaded=SENT - LIMIT), "answers")
    expect(
        last_refusal < first_done,
        f"last refusal after {last_refusal:.1f} s, first answer after {first_done:.1f} s",
    )
    return last_refusal, first_done


def test_flood() -> None:
    with serving(CONFIG) as server, server.client() as client:
        rank0 = server.rank_pids()[0]
        sizes = [resident_bytes(rank0)]
        for number, model in enumerate(("opt-tiny", "llama-tiny"), 1):
            last_refusal, first_done = flood(server, model)
            sizes.append(resident_bytes(rank0))
            print(f"  {model}: last refusal seen after {last_refusal:.2f} s, first answer after "
                  f"{first_done:.2f} s, rank 0 has {sizes[-1] / MIB:.1f} MiB")  # fmt: skip
            status = client.status()
            expect_equal(status.answered, number * LIMIT, "answered by all floods")
            expect_equal(status.refused, number * (SENT - LIMIT), "refused by all floods")
            expect_equal((status.queued, status.running), (0, 0), "at rest")
            client.drop(model)
        if not is_sanitized(rank0):
            expect(sizes[1] - sizes[0] < 64 * MIB, f"a flood took {sizes[1] - sizes[0]} bytes")
            expect(sizes[2] - sizes[1] < 8 * MIB, f"each flood takes more: {sizes}")
        expect_golden(client, "opt-tiny")
        expect_drained(server)


def test_queue_per_model() -> None:
    """A limit for the requests that wait for one model leaves room for the others."""
    limits = {"requests": LIMIT, "queue_per_model": 20}
    with serving({**CONFIG, "limits": {**CONFIG["limits"], **limits}}) as server:
        with Peer(server.endpoint) as peer, server.client() as client:
            for number in range(1, 101):
                peer.submit(number, "opt-tiny", [2, 3], max_tokens=1)
            eventually(lambda: counted(client) == 100, "100 requests seen")
            waiting = next(m for m in client.status().models if m.name == "opt-tiny")
            expect_equal(waiting.queued, 20, "requests that wait for their model")
            result = client.generate("llama-tiny", golden("llama-tiny")["prompt_ids"], max_tokens=1)
            expect_equal(result.tokens, golden("llama-tiny")["greedy_ids"][:1], "the other model")
            accepted = client.status().accepted - 1
            expect(20 <= accepted <= 20 + 32, f"{accepted} accepted, 20 may wait and 32 run")
            codes = Counter(peer.receive().get("code", "done") for _ in range(100))
            expect_equal(codes, Counter(done=accepted, overloaded=100 - accepted), "answers")
        expect_drained(server)


def counted(client: Client) -> int:
    status = client.status()
    return status.accepted + status.refused


if __name__ == "__main__":
    main(test_flood, test_queue_per_model)
