"""The same question to a live server on the paced CPU device, two ranks: six models, and room for
three and some KV cache; and to swapsim, with the same arrivals. Prompts are an eighth of the
simulated ones, answers half: the device is slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import COMPUTRON, POLICIES, RESIDENT

from experiments.live_and_simulated import Ran, both

HERE = Path(__file__).resolve().parent
MODELS, PLACES = 6, 3
MIB_OF_MODEL, MIB_OF_KV = 104, 96  # on each of two ranks
PROMPT = {"median": 128, "sigma": 0.5, "max": 190}
OUTPUT = {"median": 64, "sigma": 1.0, "max": 250}


@dataclass(frozen=True)
class Live:
    policy: str
    rate: float
    seconds: float
    skew: float = 1.0

    def changes(self) -> dict[str, Any]:
        made = dict(POLICIES[self.policy])
        places = MODELS if self.policy == RESIDENT else PLACES
        if self.policy == "computron":
            made["emulate"] = {**COMPUTRON, "models": PLACES}
            made["limits"] = {"loads_in_flight": PLACES}
            places += 1
        made["device"] = {"pool": f"{places * MIB_OF_MODEL + MIB_OF_KV}MiB"}
        made["models"] = [
            {"name": f"m-{i}", "synthetic": "opt-350m", "scale": 0.25, "context": 448, "seed": i}
            for i in range(MODELS)
        ]
        return made

    def workload(self) -> dict[str, Any]:
        return {
            "duration": f"{self.seconds}s",
            "prompt": PROMPT,
            "output": OUTPUT,
            "streams": [{"zipf": {"rate": self.rate, "skew": self.skew}}],
        }


def describe(ran: Ran) -> dict[str, Any]:
    summary = ran.summary
    made = {key: summary[key] for key in ("requests", "answered", "loads")}
    made["tokens_per_s"] = round(summary["tokens_per_s"], 2)
    for key in ("first_token_s", "between_tokens_s"):
        made[key] = {part: round(summary[key][part], 4) for part in ("mean", "p50", "p99", "max")}
    return made


def measure(case: Live, folder: Path, simulate_only: bool) -> dict[str, Any]:
    row = {"policy": case.policy, "rate": case.rate}
    config = HERE / "config.yaml"
    return row | both(config, case.changes(), case.workload(), folder, describe, not simulate_only)


def measure_all(
    cases: Sequence[Live], folder: Path, simulate_only: bool
) -> Iterator[dict[str, Any]]:
    for number, case in enumerate(cases):
        yield measure(case, folder / str(number), simulate_only)
