"""Runs the cases in swapsim: tokens a second, times to the first token and between tokens."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cases import SECONDS, Case

from experiments.simulation import Result, Run, SimulationError, simulate
from swapserve.load.report import percentile

STEADY_S = (30.0, float(SECONDS))  # tokens are counted where load neither builds up nor drains
STALL_S = 1.0  # a gap between two tokens that a reader takes for an end


@dataclass(frozen=True)
class Cell:
    output: str
    policy: str
    rate: float
    requests: int
    offered_per_s: float  # tokens that were asked for, a second of arrivals
    tokens_per_s: float  # in STEADY_S
    until_s: float  # the last answer's end, the mean of the seeds
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


@dataclass
class Tokens:
    gaps: list[float]
    steady: int  # tokens in STEADY_S

    def read(self, path: Path) -> None:
        """Adds a run's."""
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                self.steady += STEADY_S[0] <= float(row["time_s"]) < STEADY_S[1]
                if row["gap_s"]:
                    self.gaps.append(float(row["gap_s"]))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def part(ordered: Sequence[float], share: float) -> float:
    return round(percentile(ordered, share), 5) if ordered else 0.0


def make_cell(case: Case, results: Sequence[Result], tokens: Tokens) -> Cell:
    if any(result.refused for result in results):
        raise SimulationError(f"{case}: not every request was answered, so the offered tokens are not known")
    firsts = sorted(first for result in results for first in result.firsts)
    gaps = sorted(tokens.gaps)
    stalls = [gap for gap in gaps if gap > STALL_S]

    def total(key: str) -> int:
        return sum(int(result.summary[key]) for result in results)

    return Cell(
        case.output, case.policy, case.rate, total("requests"),
        round(total("tokens") / SECONDS / len(results), 1),
        round(tokens.steady / (STEADY_S[1] - STEADY_S[0]) / len(results), 1),
        round(mean([float(result.summary["end_s"]) for result in results]), 1),
        round(mean(firsts), 5), part(firsts, 0.5), part(firsts, 0.99),
        round(mean(gaps), 5), part(gaps, 0.5), part(gaps, 0.99),
        round(max(gaps, default=0.0), 5), len(stalls),
        round(sum(stalls) / sum(gaps), 5) if gaps else 0.0, total("loads"),
        round(mean([float(result.summary["hidden_share"]) for result in results]), 4),
        total("spilled"), total("recomputed"),
    )  # fmt: skip


def run_case(program: Path, case: Case, seeds: Sequence[int]) -> Cell:
    results, tokens = [], Tokens([], 0)
    with tempfile.TemporaryDirectory(prefix="generation-") as folder:
        file = Path(folder, "tokens.csv")
        for seed in seeds:
            run = Run(case.config(), case.workload(), seed, ("--tokens", str(file)))
            results.append(simulate(program, run))
            tokens.read(file)
    return make_cell(case, results, tokens)


def run_all(
    program: Path, cases: Sequence[Case], seeds: Sequence[int], workers: int
) -> Iterator[Cell]:
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda case: run_case(program, case, seeds), cases)
