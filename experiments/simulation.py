"""Runs swapsim: a config and a workload in, its results out."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ANSWERED = ("length", "eos", "stop")


def default_program() -> Path:
    build = Path(os.environ.get("SWAPSERVE_BUILD", ROOT / "build" / "release"))
    return build.resolve() / "engine" / "swapsim" / "swapsim"


class SimulationError(Exception):
    """swapsim failed; the message holds its own."""


@dataclass(frozen=True)
class Run:
    config: dict[str, Any]
    workload: dict[str, Any]
    seed: int
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    summary: dict[str, Any]
    latencies: list[float]  # of those answered, by arrival; seconds
    firsts: list[float]
    refused: int
    arrivals: list[tuple[float, str]]  # of those answered: when, and for which model

    @property
    def in_time(self) -> float:
        return float(self.summary["slo_attainment"]) * float(self.summary["requests"])


def read(folder: Path) -> Result:
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    latencies, firsts, refused, arrivals = [], [], 0, []
    with (folder / "requests.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["reason"] not in ANSWERED:
                refused += 1
                continue
            arrival = float(row["arrival_s"])
            arrivals.append((arrival, row["model"]))
            latencies.append(float(row["end_s"]) - arrival)
            firsts.append(float(row["first_s"]) - arrival)
    return Result(summary, latencies, firsts, refused, arrivals)


def simulate(program: Path, run: Run) -> Result:
    """JSON is YAML, so the two files are written as such."""
    with tempfile.TemporaryDirectory(prefix="swapsim-") as folder:
        config, workload = Path(folder, "config.yaml"), Path(folder, "workload.yaml")
        config.write_text(json.dumps(run.config, indent=1), encoding="utf-8")
        workload.write_text(json.dumps(run.workload, indent=1), encoding="utf-8")
        command = [str(program), "--config", str(config), "--workload", str(workload), "--quiet"]
        command += ["--seed", str(run.seed), "--out", folder, *run.options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SimulationError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return read(Path(folder))


def simulate_all(program: Path, runs: Iterable[Run], workers: int = 1) -> Iterator[Result]:
    """Results in the order of RUNS."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda run: simulate(program, run), runs)
