"""What a trace says of loads: how long each took, and how much of it the computing hid."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOADS, COMPUTE, ENTRIES = 0, 1, 2

Event = dict[str, Any]


def read(path: Path) -> list[Event]:
    """The bars of a server's trace."""
    with path.open(encoding="utf-8") as file:
        return [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]


@dataclass(frozen=True)
class Load:
    """From the entry's sending to the last chunk's arrival on the last rank; microseconds."""

    entry: int
    model: str
    start: float
    end: float
    hidden: float  # time in which the compute of the worst rank worked on something

    @property
    def length(self) -> float:
        return self.end - self.start


def loads(events: list[Event]) -> list[Load]:
    """The loads of a trace, by the definition of the server's status (engine/serve/hiding.h)."""
    start: dict[int, float] = {}
    end: dict[int, float] = defaultdict(float)
    models: dict[int, str] = {}
    for event in events:
        if not event["name"].startswith("load "):
            continue
        entry = event["args"]["entry"]
        models[entry] = event["args"]["model"]
        if event["tid"] == ENTRIES:
            start[entry] = min(start.get(entry, event["ts"]), event["ts"])
        elif event["tid"] == LOADS:
            end[entry] = max(end[entry], event["ts"] + event["dur"])
    ranks = sorted({event["pid"] for event in events})
    work = {rank: _work(events, rank) for rank in ranks}
    found = []
    for entry in sorted(end):
        begun = start.get(entry, end[entry])
        hidden = min(_overlap(work[rank], begun, end[entry]) for rank in ranks)
        found.append(Load(entry, models[entry], begun, end[entry], hidden))
    return found


def work(events: list[Event], since: float) -> float:
    """Microseconds after SINCE in which the compute of some rank worked on one of EVENTS."""
    bars = [bar for rank in {event["pid"] for event in events} for bar in _work(events, rank)]
    return sum(end - max(start, since) for start, end in _union(bars) if end > since)


def _work(events: list[Event], rank: int) -> list[tuple[float, float]]:
    """When a rank's compute worked: its batches, without their waits for chunks."""
    batches: list[tuple[float, float]] = []
    waits: list[tuple[float, float]] = []
    for event in events:
        if event["pid"] == rank and event["tid"] == COMPUTE:
            bar = (event["ts"], event["ts"] + event["dur"])
            (waits if event["name"].startswith("wait") else batches).append(bar)
    return _without(_union(batches), _union(waits))


def _union(bars: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(bars):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _without(
    bars: list[tuple[float, float]], holes: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    left = []
    for start, end in bars:
        for hole_start, hole_end in holes:
            if hole_end <= start or hole_start >= end:
                continue
            if hole_start > start:
                left.append((start, hole_start))
            start = max(start, hole_end)
        if end > start:
            left.append((start, end))
    return left


def _overlap(bars: list[tuple[float, float]], start: float, end: float) -> float:
    return sum(max(0.0, min(bar[1], end) - max(bar[0], start)) for bar in bars)
