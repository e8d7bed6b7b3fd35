"""All 18 in the simulator: every scheduler on the same arrivals, many seeds pooled, and the bounds."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import A100, CASES, COMPUTRON, H200, LRU, RESIDENT, SWAP_AWARE, Case, Machine

from experiments.blind import Case as Known
from experiments.blind import blind_sum
from experiments.simulation import Result, Run, simulate_all
from swapserve.load.report import percentile

# What is compared: the machine and the scheduler. Computron's rules also on its own machine, for
# the published means.
COMPARED: list[tuple[Machine, str]] = [
    (A100, COMPUTRON), (H200, COMPUTRON), (H200, LRU), (H200, SWAP_AWARE), (H200, RESIDENT),
]  # fmt: skip
SHARES = [i / 200 for i in range(1, 200)] + [0.996, 0.997, 0.998, 0.999, 0.9995, 1.0]
WORSE = 1.001  # of lru's; less is a step that fell on the other side of a report
DISTANCE_MAX = 1.5


@dataclass(frozen=True)
class Effort:
    seeds: int  # runs of each case
    bounded: int  # of these, with bounds
    seconds: float  # of each run


def _bounds(case: Case, seconds: float, results: Sequence[Result]) -> dict[str, Any]:
    """Means over the requests of RESULTS, which swapsim was asked to bound."""
    count = sum(len(result.latencies) for result in results)
    room = H200.pool_mib(case, LRU) / H200.weights_mib
    known = Known(case.streams, seconds, case.models, room)
    seen = sum(r.summary["bound"]["mean_s"] * len(r.latencies) for r in results)
    blind = sum(blind_sum(known, r.arrivals, r.summary["bound"]) for r in results)
    return {"bound_s": seen / count, "blind_s": blind / count}


def _cell(case: Case, machine: Machine, variant: str, results: Sequence[Result], bounded: int,
          latencies: Sequence[float]) -> dict[str, Any]:  # fmt: skip
    own = np.concatenate([np.array(result.latencies) for result in results[:bounded]])
    return {
        "rates": " ".join(map(str, case.rates)), "cv": case.cv, "machine": machine.name,
        "variant": variant, "runs": len(results), "requests": len(latencies),
        "refused": sum(result.refused for result in results), "mean_s": float(np.mean(latencies)),
        "p50_s": percentile(latencies, 0.5), "p90_s": percentile(latencies, 0.9),
        "p99_s": percentile(latencies, 0.99), "p999_s": percentile(latencies, 0.999),
        "loads": float(np.mean([result.summary["loads"] for result in results])),
        "load_bytes": float(np.mean([result.summary["bytes_loaded"] for result in results])),
        "in_time": sum(r.in_time for r in results) / sum(r.summary["requests"] for r in results),
        "bound_runs": bounded, "mean_of_bound_runs_s": float(own.mean()),
    }  # fmt: skip


def measure(program: Path, effort: Effort, cases: Sequence[Case] = tuple(CASES),
            workers: int = 1) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:  # fmt: skip
    """A row for each case and what is compared, and the quantiles of its latencies. The bounds are
    those of the arrivals on the H200s' pool of lru and swap_aware."""
    seeds = range(1, effort.seeds + 1)

    def runs() -> Iterator[Run]:
        for case in cases:
            for machine, variant in COMPARED:
                for seed in seeds:
                    bound = machine is H200 and variant == LRU and seed <= effort.bounded
                    options = ("--bound",) if bound else ()
                    yield Run(machine.config(case, variant), case.workload(effort.seconds), seed,
                              options)  # fmt: skip

    found = simulate_all(program, runs(), workers)
    cells, quantiles = [], []
    for case in cases:
        own, bounds = [], {}
        for machine, variant in COMPARED:
            results = [next(found) for _ in seeds]
            ordered = sorted(latency for result in results for latency in result.latencies)
            own.append(_cell(case, machine, variant, results, effort.bounded, ordered))
            key = {name: own[-1][name] for name in ("rates", "cv", "machine", "variant")}
            quantiles.append({**key, **{f"{share:g}": percentile(ordered, share) for share in SHARES}})
            if machine is H200 and variant == LRU:
                bounds = _bounds(case, effort.seconds, results[: effort.bounded])
        cells += [{**cell, **bounds} for cell in own]
        print(f"{case.name:32}", *(f"{c['mean_s'] * 1e3:8.1f}/{c['p99_s'] * 1e3:.0f}" for c in own),
              *(f"{value * 1e3:7.1f}" for value in bounds.values()), flush=True)  # fmt: skip
    return cells, quantiles


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
            )


def read(path: Path) -> list[dict[str, Any]]:
    """As written: numbers are numbers again."""
    names = ("rates", "machine", "variant")
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: v if k in names else float(v) for k, v in row.items()}
                for row in csv.DictReader(file)]  # fmt: skip


def of_case(cells: Sequence[dict[str, Any]], case: Case) -> dict[tuple[str, str], dict[str, Any]]:
    """By machine and variant."""
    rates = " ".join(map(str, case.rates))
    return {
        (cell["machine"], cell["variant"]): cell
        for cell in cells
        if cell["rates"] == rates and cell["cv"] == case.cv
    }


def misses(cells: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Where swap_aware is worse than lru, and where its mean is not near the bound."""
    worse, far = [], []
    for case in CASES:
        own = of_case(cells, case)
        if not own:
            continue
        ours, lru = own["H200", SWAP_AWARE], own["H200", LRU]
        for what in ("mean_s", "p99_s"):
            if ours[what] > WORSE * lru[what]:
                name = what.removesuffix("_s")
                worse.append(f"{case.name}: {name} {ours[what] / lru[what]:.3f} of lru's")
        distance = ours["mean_of_bound_runs_s"] / ours["bound_s"]
        if distance > DISTANCE_MAX:
            far.append(f"{case.name}: {distance:.2f}")
    return worse, far
