"""How much of a load is hidden, what a cold request waits, and what a drop moves.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/hiding/run.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import busy
import cold
import drops
from experiments import results
from experiments.server import ServerError
from swapserve import Error

PARTS = ["cold", "busy", "drops"]
PICTURES = {  # (tp, batches that a load takes as long as)
    (1, 10): ("cold-one-rank.png", "A cold request on one rank; its load takes ten batches' time"),
    (2, 1): ("cold-two-ranks.png", "A cold request on two ranks; its load takes one batch's time"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a short form: bounds are loose")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--out", type=Path, help="folder for results and pictures; none: no files")
    return parser.parse_args()


def run_cold(small: bool, folder: Path, out: Path | None) -> Iterator[dict[str, Any]]:
    cases = [cold.Case(tp, ratio) for tp in (1, 2) for ratio in (10, 1)]
    if small:
        cases = [cold.Case(1, 1, scale=0.5, load_s=0.6, repeats=3)]
    for case in cases:
        trace = folder / "cold.json"
        row = cold.measure(case, trace)
        yield row
        if out and (case.tp, case.ratio) in PICTURES:
            name, title = PICTURES[case.tp, case.ratio]
            cold.draw(trace, out / name, title)


def run_busy(small: bool, folder: Path) -> Iterator[dict[str, Any]]:
    cases = [busy.Case(1, 1), busy.Case(2, 1), busy.Case(2, 2)]
    if small:
        cases = [busy.Case(1, 1, scale=0.25, load_s=0.4, seconds=5)]
    for case in cases:
        yield busy.measure(case, folder / "busy.json")


def run_drops(small: bool) -> Iterator[dict[str, Any]]:
    for copy_back in (False, True):
        yield drops.measure(drops.Case(copy_back, turns=30 if small else 200))


def rows_of(options: argparse.Namespace, part: str, folder: Path) -> Iterator[dict[str, Any]]:
    if part == "cold":
        return run_cold(options.small, folder, options.out)
    if part == "busy":
        return run_busy(options.small, folder)
    return run_drops(options.small)


def is_good(part: str, row: dict[str, Any], small: bool) -> bool:
    """The short form runs beside other tests: it only tells a hidden load from a blocking one."""
    if part == "cold" and small:
        load, batch = row["load_ms"]["median"], row["batch_ms"]["median"]
        return bool(row["cold_first_token_ms"]["median"] < load + 0.85 * batch)
    if part == "busy" and small:
        return bool(row["hidden_share"] > 0.5)
    return bool(row["met"]) or row.get("pp") == 2  # two stages are shown, without a target


def main() -> int:
    options = parse()
    found: dict[str, list[dict[str, Any]]] = {}
    good = True
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        for part in options.parts:
            for row in rows_of(options, part, Path(name)):
                found.setdefault(part, []).append(row)
                well = is_good(part, row, options.small)
                good = good and well
                print("ok  " if well else "MISS", row, flush=True)
    if options.out:
        results.write(options.out / "results.json", found)
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError, RuntimeError) as error:
        sys.exit(f"hiding: {error}")
