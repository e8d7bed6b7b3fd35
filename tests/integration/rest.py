"""The whole job at rest takes under 5% of one core: before its first request, and after work."""

from __future__ import annotations

import time

from experiments.server import Server
from serving import QUICKSTART, MODELS, expect, expect_drained, expect_golden, main, serving

SHARE_MAX = 0.05
SECONDS = 4.0
SETTLE_SECONDS = 1.0


def share_at_rest(server: Server) -> float:
    """Of one core: user and system time of mpirun and all its ranks."""
    time.sleep(SETTLE_SECONDS)
    used, start = server.cpu_seconds(), time.monotonic()
    time.sleep(SECONDS)
    return (server.cpu_seconds() - used) / (time.monotonic() - start)


def test_rest() -> None:
    with serving(QUICKSTART) as server, server.client() as client:
        before = share_at_rest(server)
        for model in MODELS:
            expect_golden(client, model)
        after = share_at_rest(server)
        print(f"  at rest: {before:.2%} of a core after the start, {after:.2%} after work")
        expect(len(server.pids()) >= 5, "mpirun and four ranks")
        expect(before < SHARE_MAX, f"{before:.1%} of a core after the start")
        expect(after < SHARE_MAX, f"{after:.1%} of a core after work, with a client connected")
        expect_drained(server)


if __name__ == "__main__":
    main(test_rest)
