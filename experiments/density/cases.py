"""What is simulated: how much room, how many models, who is asked how often, and by whose rules.

All models have OPT-13B's shape, on 4 H200s, (2,2): 6.25 GiB of each GPU. Requests have prompts of 8
tokens and answers of one, as Computron's: what is asked here is what the swaps cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
GPUS = 4
GIB_OF_MODEL = 6.25
GIB_OF_KV = 0.5
SECONDS = 300
TIMES_AS_MANY = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10]  # as fit
TOTAL_RATE = 4.0  # requests a second; loads alone would allow seven

# The first: a part of each GPU, the rest being for something else, or a smaller GPU. The second: a
# whole one of 141 GB; ten times as many as fit take more host memory than machines have today.
ROOMS = {"4 fit": 4, "18 fit": 18}

STATIC = "static"  # those that fit are served, nobody else
POLICIES: dict[str, dict[str, Any]] = {
    "lru": {"policy": "lru"},
    "all or nothing": {"policy": "swap_aware", "swap_aware": {"partial": False}},
    "swap_aware": {"policy": "swap_aware"},
}
SHARES = {"uniform": 0.0, "Zipf": 1.0}
MODES = ["total rate fixed", "rate of each model fixed"]


@dataclass(frozen=True)
class Case:
    room: str
    mode: str
    shares: str
    models: int

    @property
    def fit(self) -> int:
        return ROOMS[self.room]

    @property
    def rate(self) -> float:
        """Of all models together; where each model brings its own, ten times as many as fit bring
        three times the other mode's."""
        if self.mode == MODES[0]:
            return TOTAL_RATE
        return 3 * TOTAL_RATE * self.models / (10 * self.fit)

    def config(self, policy: str) -> dict[str, Any]:
        return {
            "group": {"tp": 2, "pp": 2},
            "device": {"kind": "cuda", "pool": f"{self.fit * GIB_OF_MODEL + GIB_OF_KV}GiB"},
            "profile": str(ROOT / "configs" / "profiles" / "h200-x4.yaml"),
            "limits": {"requests": 100000, "slots": 256, "batch": 32, "step_tokens": 2048},
            "models": [{"name": "m", "synthetic": "opt-13b", "count": self.models, "context": 64}],
            **POLICIES.get(policy, POLICIES["lru"]),
        }

    def workload(self) -> dict[str, Any]:
        streams = [{"zipf": {"rate": self.rate, "skew": SHARES[self.shares]}}]
        return {"duration": f"{SECONDS}s", "streams": streams}


def cases(rooms: list[str], times: list[float]) -> list[Case]:
    return [
        Case(room, mode, shares, round(ROOMS[room] * factor))
        for room in rooms
        for mode in MODES
        for shares in SHARES
        for factor in times
    ]
