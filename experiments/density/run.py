"""How many models do four GPUs serve in time?

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/density/run.py [--live] --out experiments/density
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import live
import report
from cases import GPUS, MODES, POLICIES, ROOMS, SHARES, STATIC, TIMES_AS_MANY, cases
from simulated import BOUNDS, Cell, cold_latency_s, models_held, run_all

from experiments import markdown, results
from experiments.live_and_simulated import parse
from experiments.server import ServerError
from experiments.simulation import SimulationError
from swapserve import Error

SMALL_TIMES = [1.0, 2.0, 5.0]


def held(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Models held, by room, mode and shares: a row for each policy and bound."""
    rows = []
    for key in dict.fromkeys((c.room, c.mode, c.shares, c.policy) for c in cells):
        mine = [c for c in cells if (c.room, c.mode, c.shares, c.policy) == key]
        found = {f"within_{bound:g}": models_held(mine, bound) for bound in BOUNDS}
        rows.append(dict(zip(("room", "mode", "shares", "policy"), key, strict=True)) | found)
    return rows


def write_csv(path: Path, cells: Sequence[Cell]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Cell)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(cell) for cell in cells)


def simulate(args: argparse.Namespace) -> list[Cell]:
    seeds = range(1, args.seeds + 1)
    todo = cases(list(ROOMS), TIMES_AS_MANY)
    cells = list(run_all(args.swapsim, todo, seeds, args.workers))
    rows = held(cells)
    for row in rows:
        print(row)
    if args.out:
        import draw

        alone = cold_latency_s(args.swapsim, todo[0])
        content = {"commit": results.commit(), "seeds": args.seeds, "gpus": GPUS,
                   "cold_latency_s": round(alone, 5), "models_held": rows}  # fmt: skip
        results.write(args.out / "results" / "held.json", content)
        write_csv(args.out / "results" / "cells.csv", cells)
        draw.draw(cells, alone, args.out / "density.png")
        markdown.put(args.out / "README.md", "held", report.held(rows))
    return cells


def run_live(args: argparse.Namespace) -> int:
    rows = []
    with tempfile.TemporaryDirectory(prefix="density-") as folder:
        todo = live.cases([2, 6, 20], ["lru", "swap_aware"], 40)
        for row in live.measure_all(todo, Path(folder), args.simulate):
            rows.append(row)
            print(json.dumps(row), flush=True)
    if args.out:
        content = {"commit": results.commit(), "fit": live.FIT, "rate": live.RATE, "rows": rows}
        results.write(args.out / "results" / "live.json", content)
        markdown.put(args.out / "README.md", "live", report.live(rows))
    return 0


def check_small(args: argparse.Namespace) -> int:
    """In the simulator: who serves all is in time where who serves what fits is not; and live: more
    models than fit are all answered."""
    wrong = []
    todo = [case for case in cases(["4 fit"], SMALL_TIMES) if case.mode == MODES[0]]
    cells = list(run_all(args.swapsim, todo, [1], args.workers))
    for row in held(cells):
        print(row)
        expected = 4 if row["policy"] == STATIC else 20
        if row["within_5"] != expected:
            wrong.append(f"{row['shares']}, {row['policy']}: {row['within_5']}, not {expected}")
    by = {(c.shares, c.models, c.policy): c for c in cells}
    for shares in SHARES:
        for policy in POLICIES:
            if by[shares, 8, policy].mean_s <= by[shares, 4, policy].mean_s:
                wrong.append(f"{shares}, {policy}: more models than fit cost nothing")
    with tempfile.TemporaryDirectory(prefix="density-") as folder:
        row = live.measure(live.Live(4, "uniform", "swap_aware", 10), Path(folder) / "live", False)
    print(row)
    if row["live"]["loads"] <= live.FIT or row["live"]["answered"] != row["live"]["requests"]:
        wrong.append(f"live: {row['live']}")
    print("\n".join(wrong))
    return 1 if wrong else 0


def main() -> int:
    args = parse(str(__doc__))
    if args.small:
        return check_small(args)
    if args.live:
        return run_live(args)
    simulate(args)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, SimulationError, Error, OSError, RuntimeError) as error:
        sys.exit(f"density: {error}")
