"""Until it breaks: SLO attainment against the rate, the burstiness and the SLO, in the manner of
AlpaServe (Li et al., arXiv 2302.11665), which changes one of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import COMPUTRON, H200, LRU, RESIDENT, SWAP_AWARE, Case

from experiments.simulation import Result, Run, simulate_all

HELD = 0.99
SCALE = 2.0  # an SLO in unloaded cold latencies: the load at line rate, and the steps
WARM_S = 2.0  # what comes earlier, while the pool is first filled, is not counted
VARIANTS = [COMPUTRON, LRU, SWAP_AWARE, RESIDENT]


@dataclass(frozen=True)
class Base:
    """A workload; at FACTOR times its rates the other two sweeps are made."""

    case: Case
    factor: float


BASES = [
    Base(Case((10, 1, 1), 1.0), 4.0),
    Base(Case((1, 1, 1, 1, 1, 1), 1.0), 4.0),
    Base(Case((10, 10, 1, 1, 1, 1), 1.0), 4.0),
]
RATES = [round(2 ** (i / 2), 2) for i in range(24)]  # of all models together: to 2,896 a second
CVS = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0]
SCALES = [round(2 ** (i / 4), 3) for i in range(17)]  # to 16


@dataclass(frozen=True)
class Effort:
    seeds: int
    seconds: float


# A point that few seeds cannot tell from HELD has more.
REFINED = Effort(20, 60.0)
REQUESTS_MAX = 300_000  # and no seed beyond these
ERRORS = 3.0  # nearer than so many standard errors


def _in_time(results: Sequence[Result], cold_s: float, scale: float) -> tuple[int, float]:
    """Requests, and the share of all of them that were answered within SCALE cold latencies."""
    count = good = 0
    for result in results:
        late = np.array([at for at, _ in result.arrivals]) >= WARM_S
        count += int(late.sum()) + result.refused
        good += int((np.array(result.latencies)[late] <= scale * cold_s).sum())
    return count, good / count if count else 1.0


def cold_latency(program: Path, case: Case) -> float:
    """Of a request to an absent model when nothing else is going on."""
    run = Run(H200.config(case, LRU), case.workload(5.0), 1, ("--bound",))
    bound = next(simulate_all(program, [run])).summary["bound"]
    return float(bound["load_mean_s"] + bound["warm_mean_s"])


def points(base: Base) -> Iterator[tuple[str, float, Case, float]]:
    """What is changed, to what, and the case and factor of the rates that it gives."""
    for rate in RATES:
        yield "rate", rate, base.case, rate / sum(base.case.rates)
    for cv in CVS:
        yield "cv", cv, replace(base.case, cv=cv), base.factor
    yield "slo", 0.0, base.case, base.factor


def measure(program: Path, effort: Effort, bases: Sequence[Base] = tuple(BASES),
            workers: int = 1) -> list[dict[str, Any]]:  # fmt: skip
    keys = [(base, variant, point) for base in bases for variant in VARIANTS
            for point in points(base)]  # fmt: skip
    found = simulate_all(
        program,
        (
            Run(H200.config(case, variant), case.workload(effort.seconds), seed,
                ("--rate", str(factor)))  # fmt: skip
            for _, variant, (_, _, case, factor) in keys
            for seed in range(1, effort.seeds + 1)
        ),
        workers,
    )
    cold = {base: cold_latency(program, base.case) for base in bases}
    rows: list[dict[str, Any]] = []
    for base, variant, (what, x, _, _) in keys:
        results = [next(found) for _ in range(effort.seeds)]
        key = {"base": base.case.name, "what": what, "variant": variant,
               "steps": sum(result.summary["steps"] for result in results)}  # fmt: skip
        for scale in SCALES if what == "slo" else [SCALE]:
            count, share = _in_time(results, cold[base], scale)
            at = scale if what == "slo" else x
            rows.append({**key, "x": at, "requests": count, "attainment": share})
    return rows


def _error(row: dict[str, Any]) -> float:
    """The standard error of a share of HELD, of so many requests."""
    return float((HELD * (1 - HELD) / max(1, row["requests"])) ** 0.5)


def _unclear(row: dict[str, Any]) -> bool:
    return row["what"] == "rate" and bool(abs(row["attainment"] - HELD) < ERRORS * _error(row))


def refine(program: Path, rows: list[dict[str, Any]], seeds: int, workers: int = 1) -> None:
    """Measures again, with up to REFINED.seeds, which points of ROWS are too near HELD for SEEDS."""
    of = {base.case.name: base for base in BASES}
    unclear = [row for row in rows if _unclear(row)]
    runs = [
        [Run(H200.config(base.case, row["variant"]), base.case.workload(REFINED.seconds), seed,
             ("--rate", str(row["x"] / sum(base.case.rates))))
         for seed in range(1, more + 1)]
        for row in unclear
        for base in [of[row["base"]]]
        for more in [max(seeds, min(REFINED.seeds, REQUESTS_MAX * seeds // max(1, row["requests"])))]
    ]  # fmt: skip
    found = simulate_all(program, (run for of_row in runs for run in of_row), workers)
    cold = {base.case.name: cold_latency(program, base.case) for base in BASES}
    for row, of_row in zip(unclear, runs, strict=True):
        results = [next(found) for _ in of_row]
        row["steps"] = sum(result.summary["steps"] for result in results)
        row["requests"], row["attainment"] = _in_time(results, cold[row["base"]], SCALE)
        row["seeds"] = len(of_row)


def curve(rows: Sequence[dict[str, Any]], base: Base, what: str, variant: str) -> list[tuple[float, float]]:
    key = (base.case.name, what, variant)
    return [(row["x"], row["attainment"]) for row in rows
            if (row["base"], row["what"], row["variant"]) == key]  # fmt: skip


def held(rows: Sequence[dict[str, Any]], base: Base, variant: str) -> float:
    """The largest rate up to which all attain HELD and a standard error more, requests a second; 0:
    none. Without the error a request more or less in time would move it by half."""
    best = 0.0
    for row in rows:
        if (row["base"], row["what"], row["variant"]) != (base.case.name, "rate", variant):
            continue
        if row["attainment"] < HELD + _error(row):
            break
        best = row["x"]
    return best
