"""How much of a load is hidden, what a cold request waits, what the resident model pays, and what a
drop moves.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/hiding/run.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drops
import forms
import report
import sweep
from experiments import markdown, results
from experiments.server import ServerError
from swapserve import Error

PARTS = ["cold", "sweep", "simulated", "drops"]
PICTURES = {  # (tp, batches that a load takes as long as)
    (1, 10): ("cold-one-rank.png", "A cold request on one rank; its load takes ten batches' time"),
    (2, 1): ("cold-two-ranks.png", "A cold request on two ranks; its load takes one batch's time"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a short form: bounds are loose")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", choices=["cpu", *forms.CUDA], default="cpu",
                        help="cuda, cuda-pair: the sweep on four GPUs or two, nothing else")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=1e9, help="begin nothing after so many")
    parser.add_argument("--out", type=Path, help="folder for results and pictures; none: no files")
    return parser.parse_args()


def run_cold(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    import cold  # draws, for which machines with GPUs need not have the means

    cases = [cold.Case(tp, ratio) for tp in (1, 2) for ratio in (10, 1)]
    if options.small:
        cases = [cold.Case(1, 1, scale=0.5, load_s=0.6, repeats=3)]
    for case in cases:
        trace = folder / "cold.json"
        row = cold.measure(case, trace)
        yield row
        if options.out and (case.tp, case.ratio) in PICTURES:
            name, title = PICTURES[case.tp, case.ratio]
            cold.draw(trace, options.out / name, title)


def run_sweep(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    if options.small:
        yield from sweep.measure_live(forms.SMALL, folder, rooms=(forms.ROOM,))
        return
    if options.device in forms.CUDA:
        form, until = forms.CUDA[options.device], time.monotonic() + options.seconds
        yield from sweep.measure_live(form, folder, until)
        return
    for form in (forms.PACED, *forms.PACED_WIDE):
        yield from sweep.measure_live(form, folder / form.name)
    if options.out:
        sweep.draw_timelines(forms.PACED, options.out, folder)


def run_simulated() -> Iterator[dict[str, Any]]:
    for form in forms.SIMULATED:
        yield from sweep.measure_simulated(form)


def run_drops(small: bool) -> Iterator[dict[str, Any]]:
    for copy_back in (False, True):
        yield drops.measure(drops.Case(copy_back, turns=30 if small else 200))


def rows_of(options: argparse.Namespace, part: str, folder: Path) -> Iterator[dict[str, Any]]:
    if part == "cold":
        return run_cold(options, folder)
    if part == "sweep":
        return run_sweep(options, folder)
    return run_simulated() if part == "simulated" else run_drops(options.small)


def find_misses(part: str, rows: list[dict[str, Any]], small: bool) -> list[str]:
    """The short form runs beside other tests: it only tells a hidden load from a blocking one."""
    if part == "cold" and small:
        return [f"cold: {row}" for row in rows if row["cold_first_token_ms"]["median"]
                >= row["load_ms"]["median"] + 0.85 * row["batch_ms"]["median"]]  # fmt: skip
    if part == "sweep" and small:
        none, plenty = (row["hidden_share"] for row in rows)
        return [] if plenty > max(0.5, none) else [f"hidden: {none} without work, {plenty} with"]
    if part in ("sweep", "simulated"):
        # Two stages wait for each other, which is shown without a target.
        return [f"{part}: {row}" for row in rows if row["level"] == "8" and "hidden_share" in row
                and row["form"].endswith("1)") and row["hidden_share"] < 0.9]  # fmt: skip
    return [f"{part}: {row}" for row in rows if not row["met"]]


def write(options: argparse.Namespace, part: str, rows: list[dict[str, Any]]) -> None:
    """Each part has a file of its own, so that one can be repeated."""
    name = "gpu" if options.device in forms.CUDA else part
    path = options.out / "results" / f"{name}.json"
    results.write(path, {"commit": results.commit(), "rows": rows})


def show(folder: Path) -> None:
    """The sweep's picture and table, of what FOLDER has of it."""
    import draw

    rows = draw.read(folder)
    if rows:
        draw.draw(rows, folder / "sweep.png")
        markdown.put(folder / "README.md", "sweep", report.sweep(rows))


def main() -> int:
    options = parse()
    if options.device in forms.CUDA:
        options.parts = ["sweep"]
    elif options.small:
        options.parts = [part for part in options.parts if part != "simulated"]
    found: dict[str, list[dict[str, Any]]] = {}
    misses = []
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        for part in options.parts:
            for row in rows_of(options, part, Path(name)):
                found.setdefault(part, []).append(row)
                print(part, row, flush=True)
                if options.out:
                    write(options, part, found[part])  # what there is, should the rest fail
            misses += find_misses(part, found[part], options.small)
    if options.out and options.device == "cpu":
        show(options.out)
    print("\n".join(f"MISS {miss}" for miss in misses))
    return 1 if misses else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError, RuntimeError) as error:
        sys.exit(f"hiding: {error}")
