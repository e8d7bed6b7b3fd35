"""Does the order of the policies that the simulator finds hold on a live server? Three rows of the
ablation's table over mpirun on the paced CPU device, and the same arrivals in swapsim.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/ablation-live/run.py [--features] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Mapping
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
MIB_OF_MODEL = 104  # on each of two ranks
MIB_OF_KV = 16
CLOSE = 0.10  # means nearer than this have no order
SMALL_SECONDS = 16.0

FEATURES = ["price", "partial", "stay", "prefetch", "patience"]
VARIANTS: dict[str, dict[str, Any]] = {
    "computron": {
        "policy": "lru",
        "emulate": {"copy_back": True, "wait_whole_load": True, "poll": True},
    },
    "lru": {"policy": "lru"},
    **{
        f"only {name}": {
            "policy": "swap_aware",
            "swap_aware": {feature: feature == name for feature in FEATURES},
        }
        for name in FEATURES
    },
    "swap_aware": {"policy": "swap_aware"},
}


@dataclass(frozen=True)
class Row:
    """Rates are 0.6 of the ablation's: a load takes 0.42 s here."""

    name: str
    models: int
    room: int
    batch: int
    seed: int
    workload: dict[str, Any]

    def changes(self, variant: str) -> dict[str, Any]:
        """What this row and a variant put in the place of the configuration's keys."""
        made = dict(VARIANTS[variant])
        limits: dict[str, Any] = {"batch": self.batch, "slots": 64}
        places = self.room
        if "emulate" in made:  # it counts models, and one may leave while another comes
            made["emulate"] = {**made["emulate"], "models": self.room}
            limits["loads_in_flight"] = self.room
            places += 1
        made["limits"] = limits
        made["device"] = {"pool": f"{places * MIB_OF_MODEL + MIB_OF_KV}MiB"}
        made["models"] = [
            {"name": f"m-{i + 1}", "synthetic": "opt-350m", "scale": 0.25, "context": 64, "seed": i}
            for i in range(self.models)
        ]
        return made


ROWS = [
    Row("3 models, room for 2, CV 1", 3, 2, 8, 1,
        {"duration": "45s", "streams": [{"gamma": {"rate": 0.6, "cv": 1}}]}),
    Row("6 models, room for 4, CV 4", 6, 4, 32, 3,
        {"duration": "45s", "streams": [{"gamma": {"rate": 0.6, "cv": 4}}]}),
    Row("cyclic, 5 models, room for 4", 5, 4, 32, 1,
        {"duration": "40s", "streams": [{"cyclic": {"rate": 1.1}}]}),
]  # fmt: skip


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", action="store_true", help="also each feature alone")
    parser.add_argument("--small", action="store_true", help="one short row, two policies")
    parser.add_argument("--rows", type=int, nargs="+", default=range(len(ROWS)), metavar="N")
    parser.add_argument("--simulate", action="store_true", help="no live runs: to look at rows")
    parser.add_argument("--keep", type=Path, help="folder for arrivals, summaries and requests")
    parser.add_argument("--reuse", action="store_true", help="take the live runs that are there")
    parser.add_argument("--out", type=Path, help="folder for results and the picture")
    return parser.parse_args()


def describe(ran: Ran) -> dict[str, Any]:
    summary = ran.summary
    made = {f"{key}_ms": round(summary["latency_s"][key] * 1e3, 1) for key in ("mean", "p50", "p99")}
    return made | {key: summary[key] for key in ("requests", "answered", "loads", "bytes_loaded")}


def measure(
    row: Row, variant: str, folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    config = configure(HERE / "config.yaml", row.changes(variant), folder)
    workload, arrivals = folder / "workload.yaml", folder / "arrivals.csv"
    workload.write_text(json.dumps(row.workload), encoding="utf-8")
    seconds = SMALL_SECONDS if options.small else None
    make_arrivals(workload, row.seed, model_names(config), arrivals, seconds)
    found = {"simulated": describe(run_simulated(config, arrivals, folder / "simulated"))}
    if not options.simulate:
        found["live"] = describe(run_live(config, arrivals, folder / "live", options.reuse))
        found["load_average"] = round(os.getloadavg()[0], 2)
    return found


def has_order(cells: Mapping[str, Mapping[str, Any]]) -> bool:
    """No two variants whose simulated means differ clearly have the other order live."""
    for one, other in itertools.combinations(cells.values(), 2):
        simulated = one["simulated"]["mean_ms"] / other["simulated"]["mean_ms"]
        live = one["live"]["mean_ms"] / other["live"]["mean_ms"]
        if abs(simulated - 1) > CLOSE and abs(live - 1) > CLOSE and (simulated > 1) != (live > 1):
            return False
    return True


def main() -> int:
    options = parse()
    names = [name for name in VARIANTS if options.features or not name.startswith("only ")]
    if options.small:
        names, options.rows = ["lru", "swap_aware"], [len(ROWS) - 1]
    rows = []
    with tempfile.TemporaryDirectory(prefix="swapserve-") as temporary:
        for number in options.rows:
            row = ROWS[number]
            cells = {}
            for name in names:
                folder = (options.keep or Path(temporary)) / f"{number}-{name.replace(' ', '-')}"
                cells[name] = measure(row, name, folder, options)
                print(f"{row.name}: {name}: {cells[name]}", flush=True)
            rows.append({"row": row.name, "seed": row.seed, "cells": cells})
            if not options.simulate:
                rows[-1]["same_order"] = has_order(cells)
                print(f"{row.name}: same order: {rows[-1]['same_order']}", flush=True)
    if options.out:
        content = {"commit": results.commit(), "rows": rows}
        results.write(options.out / "results.json", content)
        draw.draw(rows, options.out / "means.png")
    return 0 if options.simulate or all(row["same_order"] for row in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ServerError, Error, OSError, RuntimeError) as error:
        sys.exit(f"ablation-live: {error}")
