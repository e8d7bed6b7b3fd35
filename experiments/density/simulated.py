"""Runs the cases in swapsim: who is answered in time."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cases import GPUS, POLICIES, STATIC, Case

from experiments.simulation import Result, Run, simulate
from swapserve.load.report import percentile

BOUNDS = (2.0, 3.0, 5.0)  # times the latency of a cold request that is alone
HELD = 0.99


@dataclass(frozen=True)
class Cell:
    room: str
    mode: str
    shares: str
    models: int
    models_per_gpu: float
    policy: str
    rate: float
    requests: int
    in_time_2: float  # share of all requests within twice a lone cold one's latency; who is not
    in_time_3: float  # served is not in time
    in_time_5: float
    mean_s: float  # of those answered
    p50_s: float
    p99_s: float
    loads: int
    bytes_loaded: int


def cold_latency_s(program: Path, case: Case) -> float:
    """Of one request to an empty machine."""
    workload = {"requests": 1, "streams": [{"poisson": {"rate": 1.0}}]}
    return simulate(program, Run(case.config("lru"), workload, 1)).latencies[0]


def make_cell(case: Case, policy: str, results: Sequence[Result], asked: int, alone: float) -> Cell:
    latencies = sorted(latency for result in results for latency in result.latencies)
    p50, p99 = (round(percentile(latencies, share), 5) if latencies else 0.0 for share in (0.5, 0.99))
    return Cell(
        case.room, case.mode, case.shares, case.models, case.models / GPUS, policy, case.rate, asked,
        *(round(sum(one <= bound * alone for one in latencies) / asked, 5) for bound in BOUNDS),
        round(sum(latencies) / max(1, len(latencies)), 5), p50, p99,
        sum(int(result.summary["loads"]) for result in results),
        sum(int(result.summary["bytes_loaded"]) for result in results),
    )  # fmt: skip


def keep_served(arrivals: Path, served: int) -> int:
    """Leaves the requests for the first models only; how many there were in all."""
    with arrivals.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with arrivals.open("w", newline="", encoding="utf-8") as file:
        kept = [row for row in rows if int(row[1].rpartition("-")[2]) < served]
        csv.writer(file, lineterminator="\n").writerows([header, *kept])
    return len(rows)


def run_case(program: Path, case: Case, seeds: Sequence[int], alone: float) -> list[Cell]:
    cells = []
    with tempfile.TemporaryDirectory(prefix="density-") as folder:
        lists = [Path(folder, f"{seed}.csv") for seed in seeds]
        for policy in POLICIES:
            results = [
                simulate(program, Run(case.config(policy), case.workload(), seed,
                                      ("--save-arrivals", str(path))))
                for seed, path in zip(seeds, lists, strict=True)
            ]  # fmt: skip
            asked = sum(int(result.summary["requests"]) for result in results)
            cells.append(make_cell(case, policy, results, asked, alone))
        static = Case(case.room, case.mode, case.shares, min(case.fit, case.models))
        asked = sum(keep_served(path, case.fit) for path in lists)
        results = [
            simulate(program, Run(static.config(STATIC), {"streams": [{"replay": {"csv": str(p)}}]}, 1))
            for p in lists
        ]  # fmt: skip
        cells.append(make_cell(case, STATIC, results, asked, alone))
    return cells


def run_all(
    program: Path, cases: Sequence[Case], seeds: Sequence[int], workers: int
) -> Iterator[Cell]:
    alone = cold_latency_s(program, cases[0])
    with ThreadPoolExecutor(workers) as pool:
        for cells in pool.map(lambda case: run_case(program, case, seeds, alone), cases):
            yield from cells


def models_held(cells: Sequence[Cell], bound: float) -> int:
    """The largest number up to which all of CELLS have HELD of their requests within BOUND times a
    lone cold one's latency; 0: none."""
    held = 0
    for cell in sorted(cells, key=lambda one: one.models):
        if getattr(cell, f"in_time_{bound:g}") < HELD:
            break
        held = cell.models
    return held
