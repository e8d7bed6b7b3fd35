"""A timeline of ranks from a trace: loads and batches as bars, waits hatched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from experiments.traces import COMPUTE, LOADS, Event

from .look import INK, colour, plt

ROWS = {LOADS: "load", COMPUTE: "compute"}
HEIGHT = 0.82
WAIT: dict[str, Any] = {"color": "white", "edgecolor": "#b9bec5", "hatch": "////", "linewidth": 0.3}


def busiest_window(events: list[Event], seconds: float) -> tuple[float, float]:
    """The window of that length with the most load and compute time, in trace microseconds."""
    length = seconds * 1e6
    shown = [event for event in events if event["tid"] in ROWS]
    times = sorted(event["ts"] for event in shown)
    if not times:
        return 0.0, length
    best, best_start = -1.0, times[0]
    for start in times[:: max(1, len(times) // 400)]:
        busy = {row: 0.0 for row in ROWS}
        for event in shown:
            overlap = min(event["ts"] + event["dur"], start + length) - max(event["ts"], start)
            waits = event["name"].startswith("wait")
            busy[event["tid"]] += max(0.0, overlap) * (-1 if waits else 1)
        score = min(busy.values()) + 0.2 * sum(busy.values())
        if score > best:
            best, best_start = score, start
    return best_start, best_start + length


def lanes(events: list[Event]) -> dict[int, int]:
    """A lane for each load of a rank, such that loads at the same time have different ones."""
    spans: dict[int, tuple[float, float]] = {}
    for event in events:
        start, end = spans.get(event["args"]["entry"], (event["ts"], 0.0))
        end = max(end, event["ts"] + event["dur"])
        spans[event["args"]["entry"]] = (min(start, event["ts"]), end)
    found: dict[int, int] = {}
    free: list[float] = []  # when each lane is free again
    for entry, (start, end) in sorted(spans.items(), key=lambda item: item[1]):
        lane = next((lane for lane, at in enumerate(free) if at <= start), len(free))
        free[lane : lane + 1] = [end]
        found[entry] = lane
    return found


class _Axis:
    """Draws bars of trace events between two times."""

    def __init__(self, axes: Axes, window: tuple[float, float], unit: float) -> None:
        self.axes, self.unit = axes, unit
        self.start, self.end = window

    def shown(self, events: list[Event]) -> list[Event]:
        return [e for e in events if e["ts"] < self.end and e["ts"] + e["dur"] > self.start]

    def bar(self, event: Event, y: float, height: float, **look: Any) -> None:
        left = max(event["ts"], self.start)
        right = min(event["ts"] + event["dur"], self.end)
        width, left = (right - left) / self.unit, (left - self.start) / self.unit
        self.axes.barh(y, width, left=left, height=height, **look)

    def loads(self, events: list[Event], y: float, shades: dict[str, str]) -> None:
        lane = lanes(events)
        count = max(lane.values(), default=0) + 1
        height = HEIGHT / count
        for event in events:
            middle = y + HEIGHT / 2 - height * (lane[event["args"]["entry"]] + 0.5)
            shade = shades[event["args"]["model"]]
            self.bar(event, middle, height, color=shade, edgecolor="white", linewidth=0.4)

    def compute(self, events: list[Event], y: float, shades: dict[str, str]) -> None:
        """Batches have no edges: these would hide what is thinner than they."""
        for event in events:
            if event["name"].startswith("wait"):
                self.bar(event, y, HEIGHT, zorder=3, **WAIT)
            else:
                shade = shades.get(event["args"].get("model", ""), INK)
                self.bar(event, y, HEIGHT, zorder=2, color=shade, linewidth=0)


def draw(
    events: list[Event],
    path: Path,
    title: str,
    window: tuple[float, float],
    marks: dict[str, float] | None = None,
) -> None:
    """Writes the picture of EVENTS between the times of WINDOW to PATH; MARKS are named times."""
    ranks = sorted({event["pid"] for event in events})
    models = sorted({event["args"].get("model", "") for event in events} - {""})
    shades = {model: colour(index) for index, model in enumerate(models)}
    figure, axes = plt.subplots(figsize=(9, 0.75 * len(ranks) + 1.5), layout="constrained")
    long = window[1] - window[0] > 3e6
    axis = _Axis(axes, window, 1e6 if long else 1e3)
    ticks, labels = [], []
    for position, rank in enumerate(ranks):
        for row, name in ROWS.items():
            mine = [e for e in axis.shown(events) if e["pid"] == rank and e["tid"] == row]
            y = -(position * 2.4 + row)
            ticks.append(y)
            labels.append(f"rank {rank} {name}")
            (axis.loads if row == LOADS else axis.compute)(mine, y, shades)
    for model in models:
        axes.barh(0, 0, color=shades[model], label=model)
    axes.barh(0, 0, label="waits for a chunk", **WAIT)
    for index, (text, time) in enumerate((marks or {}).items()):
        x = (time - window[0]) / axis.unit
        axes.axvline(x, color=INK, linewidth=1, linestyle=":", zorder=4)
        left = index % 2 == 1  # neighbours may be close: one left of its line, one right
        axes.annotate(text, (x, 0.62), xytext=(-3 if left else 3, 0), textcoords="offset points",
                      va="bottom", ha="right" if left else "left")  # fmt: skip
    axes.set_yticks(ticks, labels)
    axes.set_xlim(0, (window[1] - window[0]) / axis.unit)
    axes.set_ylim(ticks[-1] - 0.7, 0.95 if marks else 0.7)
    axes.set_xlabel("seconds" if long else "milliseconds")
    axes.set_title(title)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=len(models) + 1)
    figure.savefig(path)
    plt.close(figure)
