"""What a server at rest costs: the processor time of mpirun and its ranks.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/idle/run.py
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from experiments import results
from experiments.server import ROOT, Server, ServerError
from swapserve import Error

TARGET = 0.05  # of one core
MODELS = ["opt-tiny", "llama-tiny", "qwen2-tiny"]


def measure(seconds: float) -> tuple[float, float]:
    """Shares of a core: of a server that has just started, and of one that has served."""
    with Server(ROOT / "configs" / "quickstart.yaml", 4) as server:
        fresh = _rest(server, seconds)
        with server.client() as client:
            for model in MODELS:
                client.generate(model, [2, 100, 200], max_tokens=20, ignore_eos=True)
            served = _rest(server, seconds)  # the client stays connected: heartbeats go on
        if server.drain() != 0:
            raise ServerError(f"exit status {server.exit_code}:\n{server.tail()}")
    return fresh, served


def _rest(server: Server, seconds: float) -> float:
    time.sleep(0.5)
    before, begun = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / (time.monotonic() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--out", type=Path, help="file for the results; none: no file")
    options = parser.parse_args()
    fresh, served = measure(options.seconds)
    content: dict[str, Any] = {
        "commit": results.commit(),
        "ranks": 4,
        "seconds": options.seconds,
        "target_share_of_a_core": TARGET,
        "share_after_start": round(fresh, 4),
        "share_after_serving": round(served, 4),
        "met": max(fresh, served) < TARGET,
    }
    print(content)
    if options.out:
        results.write(options.out, content)
    return 0 if content["met"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError) as error:
        sys.exit(f"idle: {error}")
