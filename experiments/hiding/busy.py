"""Loads while other models have work queued: how much of them is hidden, and what cold requests wait.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments import traces
from experiments.results import summary
from experiments.server import Server
from swapserve import AsyncClient, Result, Status

BUSY = "busy"
TURNS = ["turn-1", "turn-2", "turn-3"]  # room for two of these beside the busy one
PROMPT_TOKENS = 128
LAYER_BYTES = 2 * 12 * 1024**2
SHELL_BYTES = 2 * (50272 * 512 + 2050 * 1024 + 2 * 512 * 1024)


@dataclass(frozen=True)
class Case:
    tp: int
    pp: int
    scale: float = 0.5  # share of opt-350m's 24 layers
    load_s: float = 0.7
    seconds: float = 30.0

    @property
    def name(self) -> str:
        return f"({self.tp},{self.pp}), work queued"

    def config(self) -> dict[str, Any]:
        """The device reads its memory 60 times as fast as its link, as accelerators do."""
        ranks = self.tp * self.pp
        model_bytes = (round(24 * self.scale) * LAYER_BYTES + SHELL_BYTES) / ranks
        # Three models, and 16 sequences of 256 tokens: 4 bytes for each of K and V.
        kv_bytes = 16 * 256 * round(24 * self.scale) * 2 * 1024 * 4 / ranks
        link = model_bytes / self.load_s
        return {
            "group": {"tp": self.tp, "pp": self.pp},
            "device": {
                "kind": "cpu",
                "pool": f"{(3.3 * model_bytes + kv_bytes) / 2**20:.0f}MiB",
                "piece": "1MiB",
                "link": {"bandwidth": f"{link / 1e6:.3f}MB/s", "latency": "20us"},
                "compute": "paced",
                "profile": {
                    "memory_bandwidth": f"{60 * link / 1e9:.3f}GB/s",
                    "flops": f"{2.4e3 / ranks:.1f}GFLOP/s",
                    "overhead": "5us",
                },
            },
            "limits": {"step_tokens": 256},
            "models": [
                {"name": name, "synthetic": "opt-350m", "scale": self.scale, "context": 256}
                for name in [BUSY, *TURNS]
            ],
        }


@dataclass
class _Run:
    busy: list[Result] = field(default_factory=list)
    turns: list[Result] = field(default_factory=list)


async def _keep_busy(client: AsyncClient, run: _Run, until: float) -> None:
    prompt = list(range(10, 10 + PROMPT_TOKENS))
    while time.monotonic() < until:
        run.busy.append(await client.generate(BUSY, prompt, max_tokens=64, ignore_eos=True))


async def _take_turns(client: AsyncClient, run: _Run, until: float, gap: float) -> None:
    prompt = list(range(10, 10 + PROMPT_TOKENS))
    for model in itertools.cycle(TURNS):
        begun = time.monotonic()
        if begun > until - 2 * gap:
            return
        run.turns.append(await client.generate(model, prompt, max_tokens=16, ignore_eos=True))
        await asyncio.sleep(max(0.0, begun + gap - time.monotonic()))


async def _drive(endpoint: str, case: Case) -> tuple[_Run, Status, Status]:
    run = _Run()
    async with AsyncClient(endpoint, timeout=120) as client:
        for model in [*TURNS, BUSY]:  # touches every page of the pool
            await client.load(model)
        await asyncio.sleep(0.2)  # the last rank's end of the load may still be on its way
        before = await client.status()
        until = time.monotonic() + case.seconds
        await asyncio.gather(
            *(_keep_busy(client, run, until) for _ in range(8)),
            _take_turns(client, run, until, 1.6 * case.load_s),
        )
        after = await client.status()
    return run, before, after


def measure(case: Case, trace: Path) -> dict[str, Any]:
    with Server(case.config(), case.tp * case.pp, trace=trace) as server:
        run, before, after = asyncio.run(_drive(server.endpoint, case))
        if server.drain() != 0:
            raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")
    load_ns = after.load_ns - before.load_ns
    loads = after.loads - before.loads
    hidden = (after.hidden_ns - before.hidden_ns) / load_ns
    traced = traces.loads(traces.read(trace))[-loads:]
    cold = [result.timing.first_token_ns / 1e6 for result in run.turns if result.timing.cold]
    warm = [result.timing.first_token_ns / 1e6 for result in run.busy]
    return {
        "case": case.name,
        "tp": case.tp,
        "pp": case.pp,
        "scale": case.scale,
        "seconds": case.seconds,
        "loads": loads,
        "load_ms": round(load_ns / loads / 1e6, 2),
        "hidden_share": round(hidden, 4),
        "hidden_share_of_trace": round(
            sum(load.hidden for load in traced) / sum(load.length for load in traced), 4
        ),
        "cold_first_token_ms": summary(cold),
        "busy_first_token_ms": summary(warm),
        "busy_tokens_per_s": round(
            sum(result.usage.completion_tokens for result in run.busy) / case.seconds, 1
        ),
        "drops": after.drops,
        "bytes_copied_back": after.bytes_copied_back,
        "met": hidden >= 0.9,
    }
