"""Computron's 18 workloads, live and simulated, and what lies beyond.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/workloads/run.py [WHAT...] [--out FOLDER]

WHAT: simulate (all 18), sweep (until it breaks), refine (its points near 99%, with more seeds), live (six
of them, on a server), overlay (the live ones in the simulator, while that has the same scheduler), draw
(pictures and tables), lists (the arrivals of what runs live). Default: simulate sweep refine draw.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import live
from cases import CPU, H200, H200_PAIR, VARIANTS, Machine

from experiments import results

HERE = Path(__file__).resolve().parent
WHAT = ["lists", "simulate", "sweep", "refine", "live", "overlay", "draw"]
DEFAULT = ["simulate", "sweep", "refine", "draw"]
MACHINES = {"cuda": H200, "cuda-pair": H200_PAIR, "cpu": CPU}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(WHAT)}")
    parser.add_argument("--small", action="store_true", help="only the check: for tests")
    parser.add_argument("--out", type=Path, default=HERE / "results", metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each of the 18")
    parser.add_argument("--bounded", type=int, default=3, help="of these, with bounds")
    parser.add_argument("--duration", type=float, default=300.0, help="of each, in seconds")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--device", choices=list(MACHINES), default="cpu", help="of live, overlay")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS),
                        help="live: some of the schedulers")  # fmt: skip
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(live.LIVE)), metavar="N",
                        help="live: some of the six, from 0")  # fmt: skip
    parser.add_argument("--live-duration", type=float, default=live.SECONDS, metavar="SECONDS",
                        help="live: of each list")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=1e9,
                        help="live: begin nothing that would end later than this")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="live: keep what is there")
    options = parser.parse_args()
    options.what = options.what or DEFAULT
    unknown = sorted(set(options.what) - set(WHAT))
    if unknown:
        parser.error(f"found {', '.join(unknown)}, expected some of {', '.join(WHAT)}")
    return options


# What a machine for the live part need not have (numpy, matplotlib, swapsim) is asked for late.
def simulate(options: argparse.Namespace) -> None:
    import simulated
    from experiments.simulation import default_program

    effort = simulated.Effort(options.seeds, min(options.seeds, options.bounded), options.duration)
    cells, quantiles = simulated.measure(default_program(), effort, workers=options.workers)
    worse, far = simulated.misses(cells)
    content = {"commit": results.commit(), "seeds": effort.seeds, "seconds": effort.seconds,
               "worse_than_lru": worse, "far_from_the_bound": far, "cells": cells}  # fmt: skip
    results.write(options.out / "simulated.json", content)
    simulated.write(options.out / "quantiles.csv", quantiles)


def sweep(options: argparse.Namespace) -> None:
    import breaking
    from experiments.simulation import default_program

    effort = breaking.Effort(2, 60.0)
    rows = breaking.measure(default_program(), effort, workers=options.workers)
    content = {"commit": results.commit(), "seeds": effort.seeds, "seconds": effort.seconds,
               "slo_in_cold_latencies": breaking.SCALE, "curves": rows}  # fmt: skip
    results.write(options.out / "breaking.json", content)


def refine(options: argparse.Namespace) -> None:
    import breaking
    from experiments.simulation import default_program

    path = options.out / "breaking.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    breaking.refine(default_program(), content["curves"], content["seeds"], options.workers)
    content["refined_commit"] = results.commit()
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def run_live(options: argparse.Namespace, machine: Machine) -> list[str]:
    rows = live.Rows(options.out / f"live-{options.device}.json", machine, options.resume)
    jobs = live.plan([live.LIVE[number] for number in options.cases], options.variants)
    return live.measure(machine, jobs, rows, options.live_duration, options.seconds)


def overlay(options: argparse.Namespace, device: str) -> None:
    path = options.out / f"live-{device}.json"
    if not path.exists():
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    content["rows"] = list(live.simulate(MACHINES[device], content["rows"]))
    content["simulated_commit"] = results.commit()
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for row in content["rows"]:
        live.say(row)


def finish(missing: list[str]) -> int:
    for line in missing:
        print("MISS", line, flush=True)
    return 1 if missing else 0


def main() -> int:
    options = parse()
    if options.small:
        import check

        return finish(check.check())
    options.out.mkdir(parents=True, exist_ok=True)
    missing: list[str] = []
    if "lists" in options.what:
        live.make_lists()
    if "simulate" in options.what:
        simulate(options)
    if "sweep" in options.what:
        sweep(options)
    if "refine" in options.what:
        refine(options)
    if "live" in options.what:
        missing = run_live(options, MACHINES[options.device])
    if "overlay" in options.what:
        overlay(options, options.device)
    if "draw" in options.what:
        import report

        report.write(options.out, HERE / "README.md")
    return finish(missing)


if __name__ == "__main__":
    sys.exit(main())
