"""Does the simulator say what a server does? The same arrivals live and simulated.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/calibration/run.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draw
from experiments import results
from experiments.live_and_simulated import (
    Ran, configure, make_arrivals, model_names, run_live, run_simulated,
)  # fmt: skip
from experiments.server import ServerError
from swapserve import Error

HERE = Path(__file__).resolve().parent
MEAN_MAX = LOADS_MAX = BYTES_MAX = 0.10
P99_MAX = 0.20
SMALL_SECONDS, SMALL_MAX = 20.0, 0.35  # beside other tests: tells a model from none


@dataclass(frozen=True)
class Case:
    workload: str
    layout: str
    policy: str
    seed: int = 1
    paced: bool = True  # else it computes, and what comes out is reported without a target

    @property
    def config(self) -> Path:
        return HERE / "configs" / f"{'' if self.paced else 'real-'}{self.layout}.yaml"

    @property
    def name(self) -> str:
        device = "" if self.paced else ", computing"
        return f"{self.workload} ({self.layout.replace('x', ',')}), {self.policy}{device}"


CASES = [
    Case("low", "1x1", "lru"),
    Case("bursts", "1x1", "lru", seed=8),
    Case("bursts", "2x1", "swap_aware", seed=3),
    Case("swaps", "2x1", "lru"),
    Case("swaps", "2x2", "lru"),
    Case("mixed", "2x2", "swap_aware", seed=6),
    Case("bursts", "1x1", "lru", seed=8, paced=False),
]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", metavar="N", help="only these, from 0")
    parser.add_argument("--seed", type=int, help="of the arrivals, for all cases")
    parser.add_argument("--small", action="store_true", help="one case, short; loose bounds")
    parser.add_argument("--simulate", action="store_true", help="no live runs: to look at the model")
    parser.add_argument("--keep", type=Path, help="folder for arrivals, summaries and requests")
    parser.add_argument("--reuse", action="store_true", help="take the live runs that are there")
    parser.add_argument("--out", type=Path, help="folder for results and the picture")
    return parser.parse_args()


def off(live: float, simulated: float) -> float:
    """By how much of the live figure the simulated one is off."""
    if live == simulated:
        return 0.0
    return round((simulated - live) / live, 4) if live else float("inf")


def describe(ran: Ran) -> dict[str, Any]:
    summary = ran.summary
    made = {f"{key}_ms": round(summary["latency_s"][key] * 1e3, 1)
            for key in ("mean", "p50", "p90", "p99", "max")}  # fmt: skip
    made |= {key: summary[key] for key in ("answered", "cold", "loads", "bytes_loaded")}
    return made


def compare(live: Ran, simulated: Ran) -> dict[str, float]:
    return {
        "mean": off(live.mean_s, simulated.mean_s),
        "p99": off(live.p99_s, simulated.p99_s),
        "loads": off(live.summary["loads"], simulated.summary["loads"]),
        "bytes": off(live.summary["bytes_loaded"], simulated.summary["bytes_loaded"]),
    }


def is_met(errors: Mapping[str, float], small: bool) -> bool:
    limits = {"mean": MEAN_MAX, "p99": P99_MAX, "loads": LOADS_MAX, "bytes": BYTES_MAX}
    if small:
        limits = dict.fromkeys(("mean", "loads", "bytes"), SMALL_MAX)
    return all(abs(errors[key]) <= limit for key, limit in limits.items())


def measure(case: Case, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    seed = case.seed if options.seed is None else options.seed
    folder.mkdir(parents=True, exist_ok=True)
    changes: dict[str, Any] = {"policy": case.policy}
    config = configure(case.config, changes, folder)
    arrivals = folder / "arrivals.csv"
    workload = HERE / "workloads" / f"{case.workload}.yaml"
    seconds = SMALL_SECONDS if options.small else None
    make_arrivals(workload, seed, model_names(config), arrivals, seconds)
    simulated = run_simulated(config, arrivals, folder / "simulated")
    row: dict[str, Any] = {
        "case": case.name, "workload": case.workload, "layout": case.layout,
        "policy": case.policy, "seed": seed, "simulated": describe(simulated),
    }  # fmt: skip
    if options.simulate:
        return row
    before = os.getloadavg()[0]
    ran = run_live(config, arrivals, folder / "live", options.reuse)
    row["live"] = describe(ran)
    row["live"]["sent_late_p99_ms"] = round(ran.summary["sent_late_s"]["p99"] * 1e3, 1)
    row["off"] = compare(ran, simulated)
    row["met"] = is_met(row["off"], options.small) if case.paced else None
    row["load_average"] = [round(before, 2), round(os.getloadavg()[0], 2)]
    row["latencies_ms"] = {
        "live": [round(value * 1e3, 1) for value in sorted(ran.latencies)],
        "simulated": [round(value * 1e3, 1) for value in sorted(simulated.latencies)],
    }
    return row


def show(row: Mapping[str, Any]) -> None:
    print(f"{row['case']}, seed {row['seed']}")
    for side in ("live", "simulated"):
        if side in row:
            print(f"  {side:10}", row[side])
    if "off" in row:
        word = {True: "ok", False: "MISS", None: "reported"}[row["met"]]
        print(f"  {word:10}", {key: f"{value:+.1%}" for key, value in row["off"].items()},
              "load average", row["load_average"], flush=True)  # fmt: skip


def chosen(options: argparse.Namespace) -> Sequence[Case]:
    if options.small:
        return [CASES[2]]
    return [CASES[number] for number in options.cases] if options.cases else CASES


def main() -> int:
    options = parse()
    rows = []
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        for number, case in enumerate(chosen(options)):
            folder = (options.keep or Path(name)) / f"{number}-{case.workload}-{case.layout}"
            rows.append(measure(case, folder, options))
            show(rows[-1])
    if options.out:
        content = {"commit": results.commit(), "cases": rows}
        results.write(options.out / "results.json", content)
        draw.draw(rows, options.out / "cdf.png")
    return 0 if options.simulate or all(row["met"] is not False for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError, RuntimeError) as error:
        sys.exit(f"calibration: {error}")
