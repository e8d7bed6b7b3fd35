"""Swaps over more and more links: two models take turns on ranks with room for one.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/swap-scaling/run.py --device cpu --out DIR

With --small, a short form that draws nothing and judges the order of what it found.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ceiling
import ours
import torch_runs
from experiments import results
from experiments.server import ServerError
from forms import (
    AFTER, ALL, BEFORE, COMPUTRON, CPU, CUDA, LAYOUTS, OURS, PREFETCH, SMALL, SWITCHES, VARIANTS, Form,
)  # fmt: skip
from swapserve import Error

Row = dict[str, Any]
Layout = tuple[int, int]
# What a row of the file says for itself, and what a run looks for before it measures again.
KEY = ("system", "variant", "tp", "pp")
AGAIN = 2


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--small", action="store_true", help="the check; on the CPU device only")
    parser.add_argument("--out", type=Path, help="folder for DEVICE.json; none: no files")
    parser.add_argument("--torch", metavar="PYTHON", help="also the baseline, by this Python")
    parser.add_argument("--seconds", type=float, default=1e9,
                        help="begin nothing that would end later than this")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="keep what DIR/DEVICE.json has")
    parser.add_argument("--layouts", nargs="+", metavar="TPxPP", help="some of the layouts")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), help="some of the rules")
    options = parser.parse_args()
    if options.small and options.device != "cpu":
        parser.error("--small is for the CPU device")
    return options


def _layouts(options: argparse.Namespace) -> list[Layout]:
    if not options.layouts:
        return list(LAYOUTS)
    asked = [tuple(int(part) for part in name.split("x")) for name in options.layouts]
    return [layout for layout in LAYOUTS if layout in asked]


Job = tuple[Row, Callable[[], Row]]


def plan(form: Form, options: argparse.Namespace) -> list[Job]:
    """What to measure, the most telling first, as time may run out: the headline of all layouts,
    the baseline and the rules one by one where all of them run, then Computron's elsewhere."""
    layouts = _layouts(options)
    wanted = options.variants or form.variants
    keep = options.out if not options.small else None

    def serve(layout: Layout, variant: str) -> Job:
        trace = None
        if keep and variant in (OURS, COMPUTRON) and layout == (2, 2):
            trace = keep / f"{form.device}-{variant}-trace.json"
        row = {"system": "ours", "variant": variant, "tp": layout[0], "pp": layout[1]}
        return row, lambda: ours.measure(form, layout, variant, trace)

    def bare(layout: Layout, when: str) -> Job:
        row = {"system": "ceiling", "variant": when, "tp": layout[0], "pp": layout[1]}
        return row, lambda: row | ceiling.measure(form, layout)

    def baseline(layout: Layout) -> Job:
        row = {"system": "torch", "variant": "torch", "tp": layout[0], "pp": layout[1]}
        return row, lambda: torch_runs.measure(form, layout, options.torch)

    jobs = []
    for layout in layouts:
        jobs += [bare(layout, BEFORE), serve(layout, OURS)]
        if form.device == "cuda":  # what disturbs copies comes and goes; the paced link's rate is known
            jobs.append(bare(layout, AFTER))
    torch = [layout for layout in form.torch_layouts if layout in layouts and options.torch]
    jobs += [baseline(layout) for layout in torch[:1]]
    singles = [layout for layout in form.single_layouts if layout in layouts]
    jobs += [serve(layout, name) for layout in singles
             for name in (COMPUTRON, PREFETCH, ALL, *SWITCHES)]  # fmt: skip
    others = sorted((at for at in layouts if at not in singles), key=lambda layout: layout[0] * layout[1] == 2)
    jobs += [serve(layout, COMPUTRON) for layout in others]
    jobs += [baseline(layout) for layout in torch[1:]]
    if form.device == "cpu":  # time is no matter: what is compared is measured side by side
        jobs.sort(key=lambda job: layouts.index((job[0]["tp"], job[0]["pp"])))
    return [job for job in jobs if job[0]["system"] != "ours" or job[0]["variant"] in wanted]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEY)


def _name(row: Row) -> str:
    return f"({row['tp']},{row['pp']}) {row.get('variant', row['system'])}"


class Rows:
    """What was measured so far, in a file after each row where there is one."""

    def __init__(self, path: Path | None, form: Form, resume: bool) -> None:
        self.path, self.form = path, form
        self.rows: list[Row] = []
        if path and resume and path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8"))["rows"]

    def have(self, row: Row) -> bool:
        return any(_key(row) == _key(other) for other in self.rows)

    def forget(self, layouts: set[Layout]) -> None:
        self.rows = [row for row in self.rows if (row["tp"], row["pp"]) not in layouts]

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if not self.path:
            return
        form = {"device": self.form.device, "model": self.form.model, "scale": self.form.scale,
                "link": self.form.link_name, "link_bytes_per_s": self.form.link_bytes_per_s}  # fmt: skip
        results.write(self.path, {"commit": results.commit(), **form, "rows": self.rows})


def say(row: Row) -> None:
    if row["system"] == "ceiling":
        text = f"{row['bare_copies_s']:.4f} s for {row['bytes'] / 1e9:.2f} GB"
    else:
        names = [name for name in ("load", "response", "resident") if f"{name}_s" in row]
        times = {name: row[f"{name}_s"]["median"] for name in names}
        text = ", ".join(f"{name} {value:.4f} s" for name, value in times.items())
    print(f"{_name(row):24} {text}", flush=True)


def execute(jobs: list[Job], rows: Rows, seconds: float) -> list[str]:
    """Names of what did not work, and of what there was no time for."""
    begun, missing = time.monotonic(), []
    longest: dict[str, float] = {}  # by system
    for row, measure in jobs:
        if rows.have(row):
            continue
        at = time.monotonic()
        if at - begun + 1.3 * longest.get(row["system"], 0.0) > seconds:
            missing.append(f"{_name(row)}: no time left")
            continue
        try:
            found = measure()
        except (ServerError, Error, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"{_name(row)}: {error}", file=sys.stderr, flush=True)
            missing.append(f"{_name(row)}: failed")
            continue
        took = time.monotonic() - at
        longest[row["system"]] = max(longest.get(row["system"], 0.0), took)
        rows.add({**found, "took_s": round(took, 1)})
        say(found)
    return missing


def judge(jobs: list[Job], rows: Rows) -> list[str]:
    """What contradicts: ours first, each rule slower, all of them slowest; and nothing copied back
    unless asked for. Other work on the machine may turn a close pair around: layouts where it did
    are measured again, whole, and have to be in order then."""
    for _ in range(AGAIN):
        layouts = set(misorders(rows.rows))
        if not layouts:
            break
        print("again:", *sorted(layouts), flush=True)
        rows.forget(layouts)
        missing = execute(jobs, rows, 1e9)
        if missing:
            return missing
    return [text for texts in misorders(rows.rows).values() for text in texts] + copies(rows.rows)


def misorders(rows: list[Row]) -> dict[Layout, list[str]]:
    """Layouts whose responses are not in order, and which: the shortest of each, as what disturbs
    one only makes it longer."""
    times = {_key(row)[1:]: row["response_s"]["min"] for row in rows if row["system"] == "ours"}
    found: dict[Layout, list[str]] = {}
    for (variant, tp, pp), value in times.items():
        first, last = times.get((OURS, tp, pp), 0.0), times.get((ALL, tp, pp), float("inf"))
        if variant not in (OURS, ALL, PREFETCH) and not first < value < last:
            text = f"({tp},{pp}) {variant}: {first:.4f} < {value:.4f} < {last:.4f} s?"
            found.setdefault((tp, pp), []).append(text)
        if variant == OURS and not 1.5 * first < last:
            text = f"({tp},{pp}): ours {first:.4f} s, all {last:.4f} s: not 1.5 times"
            found.setdefault((tp, pp), []).append(text)
    return found


def copies(rows: list[Row]) -> list[str]:
    found = []
    for row in rows:
        asked = VARIANTS.get(row.get("variant", OURS), {}).get("copy_back")
        if row["system"] == "ours" and bool(row["bytes_copied_back"]) != bool(asked):
            found.append(f"{_name(row)}: {row['bytes_copied_back']} bytes copied back")
    return found


def main() -> int:
    options = parse()
    form = CUDA if options.device == "cuda" else SMALL if options.small else CPU
    path = options.out / f"{form.device}.json" if options.out else None
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    rows = Rows(path, form, options.resume)
    jobs = plan(form, options)
    missing = execute(jobs, rows, options.seconds)
    wrong = judge(jobs, rows) if options.small and not missing else []
    for line in missing + wrong:
        print("MISS", line, flush=True)
    return 1 if missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
