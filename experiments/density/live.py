"""The same question to a live server on the paced CPU device, two ranks, with room for two models;
and to swapsim, with the same arrivals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import POLICIES, SHARES
from simulated import BOUNDS

from experiments.live_and_simulated import Ran, both
from swapserve.load.report import percentile

HERE = Path(__file__).resolve().parent
FIT = 2
RATE = 1.0  # of all models together; loads alone would allow 2.4
ALONE_S = 0.44  # of a cold request that is alone: load and step


@dataclass(frozen=True)
class Live:
    models: int
    shares: str
    policy: str
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.models} models, {self.shares}, {self.policy}"

    def changes(self) -> dict[str, Any]:
        models = [
            {"name": f"m-{i}", "synthetic": "opt-350m", "scale": 0.25, "context": 64, "seed": i}
            for i in range(self.models)
        ]
        return {**POLICIES[self.policy], "models": models}

    def workload(self) -> dict[str, Any]:
        return {
            "duration": f"{self.seconds}s",
            "streams": [{"zipf": {"rate": RATE, "skew": SHARES[self.shares]}}],
        }


def describe(ran: Ran) -> dict[str, Any]:
    asked = ran.summary["requests"]
    made: dict[str, Any] = {"requests": asked, "answered": ran.summary["answered"]}
    made |= {key: ran.summary[key] for key in ("loads", "bytes_loaded", "hidden_share")}
    made |= {"mean_s": round(ran.mean_s, 4), "p99_s": round(percentile(sorted(ran.latencies), 0.99), 4)}
    for bound in BOUNDS:
        in_time = sum(latency <= bound * ALONE_S for latency in ran.latencies)
        made[f"in_time_{bound:g}"] = round(in_time / asked, 4)
    return made


def measure(case: Live, folder: Path, simulate_only: bool) -> dict[str, Any]:
    row = {"models": case.models, "shares": case.shares, "policy": case.policy}
    config = HERE / "config.yaml"
    return row | both(config, case.changes(), case.workload(), folder, describe, not simulate_only)


def cases(models: Sequence[int], policies: Sequence[str], seconds: float) -> list[Live]:
    return [
        Live(count, shares, policy, seconds)
        for shares in SHARES
        for count in models
        for policy in policies
    ]


def measure_all(
    cases: Sequence[Live], folder: Path, simulate_only: bool
) -> Iterator[dict[str, Any]]:
    for number, case in enumerate(cases):
        yield measure(case, folder / str(number), simulate_only)
