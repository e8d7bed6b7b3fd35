"""SLO attainment against the request rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rows import PROFILES, ROWS, VARIANTS, Row

from experiments.simulation import Run, simulate_all

HELD = 0.99
FACTORS = [round(0.1 * 2 ** (i / 2), 4) for i in range(14)]  # of the row's own rates: to 9
SWEPT = [
    "3 models, rates (10,10,1), CV 1",
    "6 models, rates (1,1,1,1,1,1), CV 4",
    "6 models, rates (10,10,1,1,1,1), CV 1",
    "Zipf over 50 models, room for 10",
]
COMPARED = ["computron", "lru", "swap_aware"]


@dataclass(frozen=True)
class Curve:
    profile: str
    row: str
    variant: str
    rates: list[float]  # requests a second, as asked for
    attainment: list[float]


def rate_held(curve: Curve) -> float:
    """The largest rate up to which all attain HELD; 0: none."""
    held = 0.0
    for rate, share in zip(curve.rates, curve.attainment, strict=True):
        if share < HELD:
            break
        held = rate
    return held


def rate_of(row: Row) -> float:
    stream = row.streams[0]
    return float(sum(stream["gamma"]["rate"]) if "gamma" in stream else stream["zipf"]["rate"])


def make(
    program: Path,
    seeds: Sequence[int],
    names: Sequence[str] = tuple(SWEPT),
    factors: Sequence[float] = tuple(FACTORS),
    workers: int = 1,
) -> list[Curve]:
    rows = [row for row in ROWS if row.name in names]
    keys = [(p, r, v) for p in PROFILES for r in rows for v in COMPARED]
    runs = [
        Run(r.config(p, VARIANTS[v]), r.workload(), seed, ("--rate", str(factor)))
        for p, r, v in keys
        for factor in factors
        for seed in seeds
    ]
    found = simulate_all(program, runs, workers)
    curves = []
    for profile, row, variant in keys:
        shares = []
        for _ in factors:
            results = [next(found) for _ in seeds]
            count = sum(len(result.latencies) + result.refused for result in results)
            shares.append(sum(result.in_time for result in results) / count if count else 1.0)
        rates = [factor * rate_of(row) for factor in factors]
        curves.append(Curve(profile, row.name, variant, rates, shares))
    return curves
