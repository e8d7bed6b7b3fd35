"""A quick look at rows while a policy is tuned: means and p99s of a few variants, and the bound.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/ablation/compare.py [--seeds 2] [--rows cyclic "CV 4"]
        [--profiles H200] [--variants lru swap_aware computron] [--swapsim build/.../swapsim]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rows import PROFILES, ROWS, VARIANTS
from table import make

from experiments.simulation import default_program


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swapsim", type=Path, default=default_program())
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", nargs="+", default=[""], help="those whose name holds one of them")
    parser.add_argument("--profiles", nargs="+", choices=list(PROFILES), default=list(PROFILES))
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=list(VARIANTS),
        default=["computron", "lru", "swap_aware"],
    )
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    return parser.parse_args()


def main() -> None:
    args = parse()
    rows = [row for row in ROWS if any(part in row.name for part in args.rows)]
    print("milliseconds: mean/p99 of each, then two bounds of the mean (clairvoyant, blind)")
    print(f"{'':40}" + "".join(f"{name:>19}" for name in args.variants) + f"{'bound':>10}{'blind':>10}")
    for profile in args.profiles:
        for row in rows:
            cells = {
                cell.variant: cell
                for cell in make(
                    args.swapsim,
                    [row],
                    range(1, args.seeds + 1),
                    [profile],
                    args.variants,
                    args.workers,
                )
            }
            line = f"{profile} {row.name:35}"
            for name in args.variants:
                line += f"{cells[name].mean * 1e3:10.1f}/{cells[name].p99 * 1e3:8.1f}"
            any_cell = cells[args.variants[0]]
            print(line + f"{any_cell.bound * 1e3:10.1f}{any_cell.blind * 1e3:10.1f}", flush=True)


if __name__ == "__main__":
    main()
