"""Runs the cases in swapsim: tokens a second, times to the first token and between tokens."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cases import Case

from experiments.simulation import Result, Run, simulate

STALL_S = 1.0  # a gap between two tokens that a reader takes for an end


@dataclass(frozen=True)
class Cell:
    output: str
    policy: str
    rate: float
    requests: int
    tokens_per_s: float
    first_mean_s: float
    first_p50_s: float
    first_p99_s: float
    gap_mean_s: float
    gap_p50_s: float
    gap_p99_s: float
    gap_max_s: float
    stalls: int  # gaps over STALL_S
    stalled: float  # share of all time between tokens that is in them
    loads: int
    hidden_share: float
    spilled: int
    recomputed: int


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def read_gaps(path: Path) -> list[float]:
    with path.open(newline="", encoding="utf-8") as file:
        return [float(row["gap_s"]) for row in csv.DictReader(file) if row["gap_s"]]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def make_cell(case: Case, results: Sequence[Result], gaps: list[float]) -> Cell:
    firsts = sorted(first for result in results for first in result.firsts)
    gaps.sort()
    stalls = [gap for gap in gaps if gap > STALL_S]

    def total(key: str) -> int:
        return sum(int(result.summary[key]) for result in results)

    return Cell(
        case.output, case.policy, case.rate, total("requests"),
        round(total("tokens") / sum(float(result.summary["end_s"]) for result in results), 1),
        round(mean(firsts), 5), round(quantile(firsts, 0.5), 5), round(quantile(firsts, 0.99), 5),
        round(mean(gaps), 5), round(quantile(gaps, 0.5), 5), round(quantile(gaps, 0.99), 5),
        round(max(gaps, default=0.0), 5), len(stalls),
        round(sum(stalls) / sum(gaps), 5) if gaps else 0.0, total("loads"),
        round(mean([float(result.summary["hidden_share"]) for result in results]), 4),
        total("spilled"), total("recomputed"),
    )  # fmt: skip


def run_case(program: Path, case: Case, seeds: Sequence[int]) -> Cell:
    results, gaps = [], []
    with tempfile.TemporaryDirectory(prefix="generation-") as folder:
        tokens = Path(folder, "tokens.csv")
        for seed in seeds:
            run = Run(case.config(), case.workload(), seed, ("--tokens", str(tokens)))
            results.append(simulate(program, run))
            gaps += read_gaps(tokens)
    return make_cell(case, results, gaps)


def run_all(
    program: Path, cases: Sequence[Case], seeds: Sequence[int], workers: int
) -> Iterator[Cell]:
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda case: run_case(program, case, seeds), cases)
