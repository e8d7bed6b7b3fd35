"""The table: every row under every variant, the same arrivals for all, several seeds pooled."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rows import PROFILES, VARIANTS, Row

from experiments.blind import blind_sum
from experiments.simulation import Result, Run, simulate_all
from swapserve.load.report import percentile

BOUNDED = "lru"

COLUMNS = {  # of a cell, with the unit
    "requests": "",
    "refused": "",
    "mean": "s",
    "p50": "s",
    "p99": "s",
    "p999": "s",
    "first_mean": "s",
    "first_p99": "s",
    "throughput": "1/s",
    "loads": "1/run",
    "load_bytes": "B/run",
    "slo": "",
    "bound": "s",
    "bound_first": "s",
    "blind": "s",
}


@dataclass(frozen=True)
class Cell:
    """One row under one variant: all seeds' requests together; loads and bytes are means of runs."""

    profile: str
    row: str
    variant: str
    requests: int
    refused: int
    mean: float
    p50: float
    p99: float
    p999: float
    first_mean: float
    first_p99: float
    throughput: float
    loads: float
    load_bytes: float
    slo: float
    bound: float
    bound_first: float
    blind: float


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def pool(
    profile: str,
    row: str,
    variant: str,
    results: Sequence[Result],
    bounds: Sequence[dict[str, float]],
    blind: float,
) -> Cell:
    latencies = sorted(x for result in results for x in result.latencies)
    firsts = sorted(x for result in results for x in result.firsts)
    weights = [len(result.latencies) / len(latencies) for result in results]
    bound = {
        key: sum(w * b[key] for w, b in zip(weights, bounds, strict=True))
        for key in ("mean_s", "first_mean_s")
    }
    return Cell(
        profile=profile,
        row=row,
        variant=variant,
        requests=len(latencies),
        refused=sum(result.refused for result in results),
        mean=mean(latencies),
        p50=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
        p999=percentile(latencies, 0.999),
        first_mean=mean(firsts),
        first_p99=percentile(firsts, 0.99),
        throughput=mean([result.summary["requests_per_s"] for result in results]),
        loads=mean([result.summary["loads"] for result in results]),
        load_bytes=mean([result.summary["bytes_loaded"] for result in results]),
        slo=sum(result.in_time for result in results) / len(latencies),
        bound=bound["mean_s"],
        bound_first=bound["first_mean_s"],
        blind=blind,
    )


def make(
    program: Path,
    rows: Sequence[Row],
    seeds: Sequence[int],
    profiles: Sequence[str] = tuple(PROFILES),
    variants: Sequence[str] = tuple(VARIANTS),
    workers: int = 1,
) -> list[Cell]:
    """Cells by profile, row and variant. The bound is that of the arrivals on the pool of lru."""
    if BOUNDED not in variants:
        variants = [BOUNDED, *variants]
    keys = [(p, r, v) for p in profiles for r in rows for v in variants]
    runs = [
        Run(r.config(p, VARIANTS[v]), r.workload(), s, ("--bound",) if v == BOUNDED else ())
        for p, r, v in keys
        for s in seeds
    ]
    found = simulate_all(program, runs, workers)
    cells = []
    for profile in profiles:
        for row in rows:
            by_variant = {v: [next(found) for _ in seeds] for v in variants}
            bounds = [result.summary["bound"] for result in by_variant[BOUNDED]]
            blind = sum(
                blind_sum(row.known(), result.arrivals, result.summary["bound"])
                for result in by_variant[BOUNDED]
            ) / sum(len(result.arrivals) for result in by_variant[BOUNDED])
            cells += [pool(profile, row.name, v, r, bounds, blind) for v, r in by_variant.items()]
    return cells


def write_csv(path: Path, cells: Sequence[Cell]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(cells[0])), lineterminator="\n")
        writer.writeheader()
        for cell in cells:
            writer.writerow(
                {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(cell).items()}
            )
