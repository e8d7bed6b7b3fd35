"""What does swapping cost those who read long answers?

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/generation/run.py [--live] --out experiments/generation
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import live
import report
from cases import POLICIES, RATES, RESIDENT, Case
from simulated import Cell, run_all

from experiments import markdown, results
from experiments.live_and_simulated import parse
from experiments.server import ServerError
from experiments.simulation import SimulationError
from swapserve import Error

LIVE_RATES = [0.7, 1.2]


def say(cell: Cell) -> None:
    print(
        f"{cell.output}, {cell.rate:g}/s, {cell.policy}: {cell.tokens_per_s:g} tokens/s, first token "
        f"{cell.first_p50_s:.3f} / {cell.first_p99_s:.3f} s, between {cell.gap_p50_s * 1e3:.1f} / "
        f"{cell.gap_p99_s * 1e3:.1f} ms, {cell.stalls} stalls, {cell.spilled} spilled",
        flush=True,
    )


def simulate(args: argparse.Namespace) -> int:
    todo = [Case(policy, rate, output)
            for output in ("chat", "one token") for rate in RATES for policy in POLICIES]  # fmt: skip
    cells = []
    for cell in run_all(args.swapsim, todo, range(1, args.seeds + 1), args.workers):
        cells.append(cell)
        say(cell)
    if args.out:
        import draw

        content = {"commit": results.commit(), "seeds": args.seeds,
                   "cells": [asdict(cell) for cell in cells]}  # fmt: skip
        results.write(args.out / "results" / "simulated.json", content)
        draw.draw(cells, args.out / "generation.png")
        markdown.put(args.out / "README.md", "simulated", report.simulated(cells))
    return 0


def run_live(args: argparse.Namespace) -> int:
    todo = [live.Live(policy, rate, 40)
            for rate in LIVE_RATES for policy in list(POLICIES)[:4]]  # fmt: skip
    rows = []
    with tempfile.TemporaryDirectory(prefix="generation-") as folder:
        for row in live.measure_all(todo, Path(folder), args.simulate):
            rows.append(row)
            print(json.dumps(row), flush=True)
    if args.out:
        content = {"commit": results.commit(), "rows": rows}
        results.write(args.out / "results" / "live.json", content)
        markdown.put(args.out / "README.md", "live", report.live(rows))
    return 0


def check_small(args: argparse.Namespace) -> int:
    """In the simulator: who has all resident waits least for first tokens, and one-token requests hide
    what long ones show; live: every token of every answer comes, though
    models take turns."""
    wrong = []
    todo = [Case(policy, 3.0, output)
            for output in ("chat", "one token") for policy in (RESIDENT, "swap_aware")]  # fmt: skip
    cells = list(run_all(args.swapsim, todo, [1], args.workers))
    for cell in cells:
        say(cell)
    chat_full, chat, one_full, one = cells
    # Gaps may be shorter and tokens more where models swap: fewer share the steps.
    if chat.first_mean_s < chat_full.first_mean_s:
        wrong.append("chat: swapping is faster than having all resident")
    if chat.first_mean_s / chat_full.first_mean_s <= one.first_mean_s / one_full.first_mean_s:
        wrong.append("answers of one token pay more for swapping than long ones")
    with tempfile.TemporaryDirectory(prefix="generation-") as folder:
        row = live.measure(live.Live("swap_aware", 2.0, 6, skew=0.0), Path(folder) / "live", False)
    print(json.dumps(row))
    found = row["live"]
    if found["answered"] != found["requests"] or found["loads"] <= live.PLACES:
        wrong.append(f"live: {found}")
    print("\n".join(wrong))
    return 1 if wrong else 0


def main() -> int:
    args = parse(str(__doc__))
    if args.small:
        return check_small(args)
    return run_live(args) if args.live else simulate(args)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, SimulationError, Error, OSError, RuntimeError) as error:
        sys.exit(f"generation: {error}")
