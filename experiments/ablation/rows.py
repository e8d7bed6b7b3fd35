"""The rows: which models on which pool, and who asks for what, when.

All are the OPT-13B shape on 4 GPUs, (2,2), where no other is named, and 6.25 GiB of pool a model and
rank of four, besides what is for the KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.blind import Case

ROOT = Path(__file__).resolve().parents[2]
PROFILES = {"H200": "h200-x4", "A100": "a100-x4"}
# The A100's profile loses 200 us a copy: larger ones lose less.
DEVICES: dict[str, dict[str, Any]] = {"H200": {}, "A100": {"piece": "64MiB"}}
GIB_OF_MODEL = {"opt-13b": 25.0, "opt-6.7b": 13.0}  # of pool, over all ranks
GIB_OF_WEIGHTS = {"opt-13b": 24.4, "opt-6.7b": 12.8}
ADDED = "added"  # the group of rows that no target asks for
AZURE = ROOT / "configs" / "workloads" / "azure-sample.csv"


@dataclass(frozen=True)
class Row:
    name: str
    group: str
    models: int
    room: int
    streams: list[dict[str, Any]]
    batch: int = 32
    shape: str = "opt-13b"
    context: int = 64
    duration: str = "30s"
    lengths: dict[str, Any] = field(default_factory=dict)
    kv: float = 0.5  # GiB of pool for the KV cache, on each rank
    tp: int = 2
    pp: int = 2

    def pool(self, places: int) -> float:
        """GiB on each rank, for so many models."""
        return places * GIB_OF_MODEL[self.shape] / (self.tp * self.pp) + self.kv

    def config(self, profile: str, variant: dict[str, Any]) -> dict[str, Any]:
        """A server's config; the variant's keys go on top."""
        emulate = dict(variant.get("emulate", {}))
        places, device = self.room, DEVICES[profile]
        limits = {"requests": 100000, "slots": 256, "batch": self.batch, "step_tokens": 2048}
        if "models" in emulate:  # as configs/sim/computron-*.yaml have it
            emulate["models"] = limits["loads_in_flight"] = self.room
            device = {"piece": "20MiB"}
            places += 1
        return {
            "group": {"tp": self.tp, "pp": self.pp},
            "device": {"kind": "cuda", "pool": f"{self.pool(places)}GiB", **device},
            "profile": str(ROOT / "configs" / "profiles" / f"{PROFILES[profile]}.yaml"),
            "limits": limits,
            "models": [
                {
                    "name": "m",
                    "synthetic": self.shape,
                    "count": self.models,
                    "context": self.context,
                }
            ],
            **{key: value for key, value in variant.items() if key != "emulate"},
            **({"emulate": emulate} if emulate else {}),
        }

    def workload(self) -> dict[str, Any]:
        return {"duration": self.duration, **self.lengths, "streams": self.streams}

    def known(self) -> Case:
        """For the bound of schedulers that cannot foresee arrivals."""
        weights = GIB_OF_WEIGHTS[self.shape] / (self.tp * self.pp)
        seconds = float(self.duration.removesuffix("s"))
        return Case(self.streams, seconds, self.models, self.pool(self.room) / weights)


def gamma(rates: list[float], cv: float) -> list[dict[str, Any]]:
    return [{"gamma": {"rate": rates, "cv": cv}}]


def computron() -> list[Row]:
    """The 18 simulated workloads of arXiv 2306.13835."""
    cases = [
        (3, 2, 8, [1, 1, 1]),
        (3, 2, 8, [10, 1, 1]),
        (3, 2, 8, [10, 10, 1]),
        (6, 4, 32, [1, 1, 1, 1, 1, 1]),
        (6, 4, 32, [10, 10, 1, 1, 1, 1]),
        (6, 4, 32, [10, 10, 10, 10, 1, 1]),
    ]
    return [
        Row(
            f"{models} models, rates ({','.join(map(str, rates))}), CV {cv:g}",
            "Computron",
            models,
            room,
            gamma(list(map(float, rates)), cv),
            batch,
        )
        for models, room, batch, rates in cases
        for cv in (0.25, 1.0, 4.0)
    ]


def others() -> list[Row]:
    return [
        Row(
            "Zipf over 50 models, room for 10",
            "more",
            50,
            10,
            [{"zipf": {"rate": 8, "skew": 1.0}}],
            shape="opt-6.7b",
            duration="60s",
        ),
        Row(
            "MMPP bursts, 6 models, room for 4",
            "more",
            6,
            4,
            [{"mmpp": {"rates": [0.2, 15], "dwell": ["10s", "1s"]}}],
            duration="60s",
        ),
        Row(
            "cyclic, 5 models, room for 4",
            "more",
            5,
            4,
            [{"cyclic": {"rate": 1.8}}],
            duration="60s",
        ),
        Row(
            "(1,1): 3 models, room for 2, rates (0.4,0.4,0.4), CV 1",
            ADDED,
            3,
            2,
            gamma([0.4, 0.4, 0.4], 1.0),
            duration="60s",
            tp=1,
            pp=1,
        ),
    ]


def quiet_beside_busy() -> Row:
    """Each request to the quiet models needs the place of a model that always has work."""
    return Row(
        "quiet beside busy, 4 models, room for 2",
        ADDED,
        4,
        2,
        gamma([8.0, 8.0, 0.2, 0.2], 1.0),
        context=1088,
        duration="60s",
        lengths={"prompt": {"median": 200, "sigma": 1.0, "max": 1000}, "output": {"tokens": 30}},
        kv=5,
    )


def long_answers() -> list[Row]:
    """Prompts and answers of all lengths."""
    lengths = {
        "prompt": {"median": 128, "sigma": 1.0, "max": 1024},
        "output": {"median": 24, "sigma": 1.0, "max": 256},
    }
    return [
        Row(
            "mixed lengths, 6 models, room for 4",
            "more",
            6,
            4,
            [{"zipf": {"rate": 2.5, "skew": 0.5}}],
            context=1536,
            duration="60s",
            lengths=lengths,
            kv=3,
        ),
        Row(
            "overload for 5 s of 60, 6 models, room for 4",
            ADDED,
            6,
            4,
            [
                {"zipf": {"rate": 1.5, "skew": 0.5}},
                {"zipf": {"rate": 40, "skew": 0.5}, "from": "20s", "until": "25s"},
            ],
            context=1536,
            duration="60s",
            lengths=lengths,
            kv=3,
        ),
        Row(
            "Azure trace (sample), 6 models, room for 4",
            ADDED,
            6,
            4,
            [{"trace": {"csv": str(AZURE), "skew": 0.5}}],
            context=1536,
            duration="60s",
            lengths={"prompt": {"max": 1280}},
            kv=3,
        ),
    ]


ROWS = [*computron(), *others(), *long_answers(), quiet_beside_busy()]

FEATURES = ["price", "partial", "stay", "prefetch", "patience"]
COMPUTRON: dict[str, Any] = {
    "policy": "lru",
    "emulate": {"copy_back": True, "wait_whole_load": True, "poll": True, "models": 0},
}


def only(feature: str) -> dict[str, Any]:
    return {"policy": "swap_aware", "swap_aware": {key: key == feature for key in FEATURES}}


VARIANTS: dict[str, dict[str, Any]] = {
    "computron": COMPUTRON,
    "lru": {"policy": "lru"},
    **{f"only {feature}": only(feature) for feature in FEATURES},
    "swap_aware": {"policy": "swap_aware"},
}
