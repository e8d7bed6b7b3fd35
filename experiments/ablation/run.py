"""The scheduler against Computron's rules, against lru, and against the bound, on every row.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/ablation/run.py --out experiments/ablation
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import report
import sweep
import table
import targets
from rows import PROFILES, ROWS

from experiments import results
from experiments.simulation import default_program

SMALL = ["3 models, rates (10,1,1), CV 1", "6 models, rates (10,10,10,10,1,1), CV 0.25", "cyclic"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swapsim", type=Path, default=default_program())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--small", action="store_true", help="three rows, two seeds: for CI")
    parser.add_argument("--out", type=Path, help="folder for results and pictures; none: no files")
    return parser.parse_args()


def check_small(args: argparse.Namespace) -> int:
    """swap_aware is no worse than lru, and nobody is under the bound."""
    rows = [row for row in ROWS if any(row.name.startswith(name) for name in SMALL)]
    variants = ["lru", "swap_aware"]
    cells = table.make(args.swapsim, rows, [1, 2], ["H200"], variants, args.workers)
    wrong = targets.worse_than_lru(targets.by_row(cells))
    for cell in cells:
        print(f"{cell.row}, {cell.variant}: mean {cell.mean:.4f} s, bound {cell.bound:.4f} s")
        if cell.mean < cell.bound or cell.first_mean < cell.bound_first:
            wrong.append(f"{cell.row}: {cell.variant} is under the bound")
        if cell.refused:
            wrong.append(f"{cell.row}: {cell.variant} refused {cell.refused}")
    print("\n".join(wrong))
    return 1 if wrong else 0


def write(out: Path, seeds: int, cells: list[table.Cell], curves: list[sweep.Curve]) -> None:
    import draw

    content: dict[str, Any] = {
        "commit": results.commit(),
        "seeds": seeds,
        **targets.summary(cells, curves),
        "columns": table.COLUMNS,
        "cells": [asdict(cell) for cell in cells],
        "curves": [asdict(curve) for curve in curves],
    }
    results.write(out / "results.json", content)
    table.write_csv(out / "results.csv", cells)
    (out / "table.md").write_text(report.table(cells), encoding="utf-8")
    report.update_readme(out / "README.md", report.readme_part(cells, curves))
    draw.means(cells, out / "means.png")
    draw.attainment(curves, out / "attainment.png")


def main() -> int:
    args = parse()
    if args.small:
        return check_small(args)
    seeds = range(1, args.seeds + 1)
    cells = table.make(args.swapsim, ROWS, seeds, list(PROFILES), workers=args.workers)
    curves = sweep.make(args.swapsim, [1, 2], workers=args.workers)
    under = [c for c in cells if c.mean < c.bound or c.first_mean < c.bound_first]
    for target in targets.judge(cells, curves):
        print(f"{report.WORDS[target.met]:6} {target.text}: {target.found}")
    print("\n".join(f"under the bound: {cell.profile}, {cell.row}, {cell.variant}" for cell in under))
    if args.out:
        write(args.out, args.seeds, cells, curves)
    return 1 if under else 0


if __name__ == "__main__":
    sys.exit(main())
