"""How much of the loads is hidden, and what the resident model pays, against the work it has."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments import traces
from experiments.live_and_simulated import run
from experiments.server import Server
from experiments.simulation import default_program
from swapserve.load.report import spread
from forms import ALL, BUSY, ROOM, TURNS, Form, Level

Row = dict[str, Any]

START_SECONDS = 90.0  # real models fill a hundred gigabytes
NAMES = {"none": "no work", "8": "eight requests"}


@dataclass(frozen=True)
class Found:
    """What a run wrote."""

    summary: dict[str, Any]
    requests: list[dict[str, str]]
    gaps: list[float]  # between the resident model's tokens


def read(folder: Path) -> Found:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    with (folder / "requests.csv").open(newline="", encoding="utf-8") as file:
        requests = list(csv.DictReader(file))
    with (folder / "tokens.csv").open(newline="", encoding="utf-8") as file:
        tokens = [row for row in csv.DictReader(file) if row["model"] == BUSY and row["gap_s"]]
    return Found(summary, requests, [float(row["gap_s"]) for row in tokens])


def write_workload(form: Form, level: Level, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "workload.yaml"
    path.write_text(json.dumps(form.workload(level)), encoding="utf-8")  # JSON is YAML
    return path


def send(endpoint: str, form: Form, level: Level, folder: Path) -> Found:
    """The level's requests to the server at ENDPOINT."""
    workload = write_workload(form, level, folder)
    run([sys.executable, "-m", "swapserve.load", "--quiet", "--workload", workload, "--endpoint",
         endpoint, "--out", folder, "--tokens", folder / "tokens.csv"])  # fmt: skip
    return read(folder)


def simulate(form: Form, level: Level, room: int, folder: Path) -> Found:
    workload = write_workload(form, level, folder)
    config = folder / "config.yaml"
    config.write_text(json.dumps(form.config(room)), encoding="utf-8")
    program = default_program()
    run([program, "--quiet", "--config", config, "--workload", workload, "--out", folder,
         "--tokens", folder / "tokens.csv"])  # fmt: skip
    return read(folder)


def spread_ms(seconds: list[float]) -> dict[str, Any]:
    """How many, mean, percentiles and largest, in milliseconds."""
    found = spread([one * 1e3 for one in seconds])
    return {key: round(value, 2) for key, value in found.items() if value is not None}


def describe(form: Form, level: Level, room: int, found: Found) -> Row:
    summary = found.summary
    waits: dict[bool, list[float]] = {True: [], False: []}  # to the first token: BUSY, the others
    times = 0.0
    for row in found.requests:
        wait = float(row["first_s"]) - float(row["arrival_s"])
        waits[row["model"] == BUSY].append(wait)
        if row["model"] == BUSY:
            times += float(row["end_s"]) - float(row["arrival_s"])
    made: Row = {"form": form.name, "level": level.name, "room": room}
    made["at_work"] = round(times / float(summary["end_s"]), 3)
    made["loads"] = summary["loads"]
    if room == ROOM and summary["loads"] > 0:
        ranks = form.ranks if form.kind == "simulated" else 1
        made["load_ms"] = round(summary["load_s"] / summary["loads"] / ranks * 1e3, 2)
        made["hidden_share"] = round(summary["hidden_share"], 4)
    made["others_first_ms"] = spread_ms(waits[False])
    if level.clients > 0:
        made["first_ms"] = spread_ms(waits[True])
        made["gap_ms"] = spread_ms(found.gaps)
    return made


def warm(server: Server) -> None:
    """Touches every page of the pool."""
    with server.client() as client:
        for model in TURNS:
            client.load(model)
        time.sleep(0.2)  # the last rank's end of the load may still be on its way


def measure_live(
    form: Form, folder: Path, deadline: float = float("inf"), rooms: tuple[int, ...] = (ROOM, ALL)
) -> Iterator[Row]:
    """A server for each room, all levels on it; nothing begins after DEADLINE, a time.monotonic()."""
    for room in rooms:
        if time.monotonic() > deadline:
            return
        with Server(form.config(room), form.ranks, start_seconds=START_SECONDS) as server:
            warm(server)
            for level in form.levels:
                if time.monotonic() > deadline or (room == ALL and level.clients == 0):
                    continue
                found = send(server.endpoint, form, level, folder / f"{room}-{level.clients}")
                row = describe(form, level, room, found)
                yield row | {"load_average": round(os.getloadavg()[0], 2)}
            if server.drain() != 0:
                raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")


def measure_simulated(form: Form) -> Iterator[Row]:
    for room in (ROOM, ALL):
        for level in form.levels:
            if room == ALL and level.clients == 0:
                continue
            with tempfile.TemporaryDirectory(prefix="swapserve-") as folder:
                yield describe(form, level, room, simulate(form, level, room, Path(folder)))


def draw_timelines(form: Form, out: Path, folder: Path) -> None:
    """A load beside no work of the resident model, and one beside plenty."""
    from experiments.plot import timeline

    for level in (form.levels[0], form.levels[-2]):
        trace = folder / f"{level.name}.json"
        short = replace(form, seconds=6)
        with Server(form.config(ROOM), form.ranks, trace=trace) as server:
            warm(server)
            send(server.endpoint, short, level, folder / level.name)
            if server.drain() != 0:
                raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")
        events = traces.read(trace)
        loads = traces.loads(events)[len(TURNS) + 1 :]
        load = sorted(loads, key=lambda one: one.length)[len(loads) // 2]
        window = (load.start - 0.15 * load.length, load.end + 0.35 * load.length)
        timeline.draw(events, out / f"sweep-{level.name}.png",
                      f"A load beside {NAMES[level.name]} of the resident model", window)  # fmt: skip


def price(rows: list[Row], form: str, level: str) -> dict[str, float]:
    """The resident model's gaps beside loads over those with all resident; empty without either."""
    found = {row["room"]: row.get("gap_ms", {}) for row in rows
             if (row["form"], row["level"]) == (form, level)}  # fmt: skip
    both = [found.get(room, {}) for room in (ROOM, ALL)]
    return {
        part: both[0][part] / both[1][part]
        for part in ("p50", "p99")
        if all(one.get(part) for one in both)
    }
