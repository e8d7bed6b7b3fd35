"""Computron's 18 simulated workloads, the schedulers that are compared, and the machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.computron.published import CVS, MEANS

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / "configs" / "profiles"

ROOM = {3: 2, 6: 4}  # models that fit, by how many there are
BATCH = {3: 8, 6: 32}
CONTEXT = 64
PUBLISHED_SECONDS = 30.0

COMPUTRON, LRU, SWAP_AWARE, RESIDENT = "computron", "lru", "swap_aware", "resident"
# `resident` has room for all models: what no swapping server can be better than.
VARIANTS: dict[str, dict[str, Any]] = {
    COMPUTRON: {
        "policy": "lru",
        "emulate": {"copy_back": True, "wait_whole_load": True, "poll": True},
    },
    LRU: {"policy": "lru"},
    SWAP_AWARE: {"policy": "swap_aware"},
    RESIDENT: {"policy": "swap_aware"},
}
LABELS = {
    COMPUTRON: "Computron's rules",
    LRU: "lru",
    SWAP_AWARE: "swap_aware",
    RESIDENT: "all resident",
}


@dataclass(frozen=True)
class Case:
    """One of the 18: requests a second of each model, and how bursty they are."""

    rates: tuple[int, ...]
    cv: float

    @property
    def models(self) -> int:
        return len(self.rates)

    @property
    def room(self) -> int:
        return ROOM[self.models]

    @property
    def name(self) -> str:
        return f"({','.join(map(str, self.rates))}), CV {self.cv:g}"

    @property
    def slug(self) -> str:
        """For names of files."""
        return f"{'-'.join(map(str, self.rates))}-cv{self.cv:g}"

    @property
    def published_s(self) -> float:
        return MEANS[self.rates][CVS.index(self.cv)]

    @property
    def streams(self) -> list[dict[str, Any]]:
        return [{"gamma": {"rate": [float(rate) for rate in self.rates], "cv": self.cv}}]

    def workload(self, seconds: float) -> dict[str, Any]:
        return {"duration": f"{seconds:g}s", "streams": self.streams}


CASES = [Case(rates, cv) for rates in MEANS for cv in CVS]


@dataclass(frozen=True)
class Machine:
    name: str
    shape: str
    scale: float
    model_mib: float  # of each rank's pool, for each model that is to fit
    weights_mib: float  # a rank's mean share of a model's weights
    kv_mib: float
    profile: Path | None  # none: the controller learns from what it sees
    device: Mapping[str, Any] = field(default_factory=dict)  # keys of the configuration
    slow: float = 1.0  # arrivals come so many times slower, as loads and steps take longer
    tp: int = 2
    pp: int = 2

    def pool_mib(self, case: Case, variant: str) -> float:
        """Computron counts models, and one may leave while another comes: it has a place more."""
        places = {COMPUTRON: case.room + 1, RESIDENT: case.models}.get(variant, case.room)
        return places * self.model_mib + self.kv_mib

    def config(self, case: Case, variant: str) -> dict[str, Any]:
        """A server for the models of CASE, whatever its rates."""
        limits = {"requests": 100000, "slots": 256, "batch": BATCH[case.models]}
        device = {**self.device, "pool": f"{self.pool_mib(case, variant):.0f}MiB"}
        made = dict(VARIANTS[variant])
        if "emulate" in made:  # as configs/sim/computron-*.yaml have it
            made["emulate"] = {**made["emulate"], "models": case.room}
            limits["loads_in_flight"] = case.room
            if device["kind"] == "cuda":
                device["piece"] = "20MiB"  # it moves a tensor at a time
        model = {"name": "m", "synthetic": self.shape, "scale": self.scale, "count": case.models,
                 "context": CONTEXT}  # fmt: skip
        return {
            "group": {"tp": self.tp, "pp": self.pp}, "device": device, "arena": {"spill": "64MiB"},
            "limits": limits, "models": [model], **made,
            **({"profile": str(self.profile)} if self.profile else {}),
        }  # fmt: skip


H200 = Machine("H200", "opt-13b", 1.0, 6400, 24.4 / 4 * 1024, 512, PROFILES / "h200-x4.yaml",
               {"kind": "cuda"})  # fmt: skip
# Half of that machine: the same models over two links.
H200_PAIR = Machine("2x H200", "opt-13b", 1.0, 12800, 24.4 / 2 * 1024, 1024,
                    PROFILES / "h200-x2.yaml", {"kind": "cuda"}, tp=2, pp=1)  # fmt: skip
# Computron's machine. Its profile loses 200 us a copy: larger ones lose less.
A100 = Machine("A100", "opt-13b", 1.0, 6400, 24.4 / 4 * 1024, 512, PROFILES / "a100-x4.yaml",
               {"kind": "cuda", "piece": "64MiB"})  # fmt: skip


def paced(name: str, faster: float, slow: float, profile: Path | None) -> Machine:
    """The paced CPU device: operations sleep, copies over the emulated link are real."""
    device = {
        "kind": "cpu", "piece": "1MiB", "compute": "paced",
        "link": {"bandwidth": f"{125 * faster:g}MB/s", "latency": "50us"},
        "profile": {"memory_bandwidth": f"{4 * faster:g}GB/s",
                    "flops": f"{200 * faster:g}GFLOP/s", "overhead": "20us"},
    }  # fmt: skip
    return Machine(name, "opt-350m", 0.25, 67, 63.5, 16, profile, device, slow)


# A load takes four times as long as on the H200s; for the check, twice.
CPU = paced("CPU", 1.0, 4.0, ROOT / "experiments" / "calibration" / "profiles" / "2x2.yaml")
SMALL = paced("small", 2.0, 2.0, None)
