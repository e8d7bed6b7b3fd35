"""A timeline of ranks from a trace: loads and batches as bars, waits hatched."""

import json
from pathlib import Path

from .look import INK, colour, plt

ROWS = {0: "load", 1: "compute"}


def read(path: Path) -> list[dict]:
    """The complete events ("ph": "X") of a Chrome trace."""
    with path.open(encoding="utf-8") as file:
        return [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]


def busiest_window(events: list[dict], seconds: float) -> tuple[float, float]:
    """The window of that length with the most load and compute time, in trace microseconds."""
    length = seconds * 1e6
    times = sorted(event["ts"] for event in events if event["tid"] in ROWS)
    if not times:
        return 0.0, length
    best, best_start = -1.0, times[0]
    for start in times[:: max(1, len(times) // 400)]:
        busy = {0: 0.0, 1: 0.0}
        for event in events:
            if event["tid"] not in ROWS:
                continue
            overlap = min(event["ts"] + event["dur"], start + length) - max(event["ts"], start)
            busy[event["tid"]] += max(0.0, overlap)
        score = min(busy[0], busy[1]) + 0.2 * (busy[0] + busy[1])
        if score > best:
            best, best_start = score, start
    return best_start, best_start + length


def draw(events: list[dict], path: Path, title: str, window: tuple[float, float]) -> None:
    """Writes the picture of EVENTS between the two times of WINDOW to PATH."""
    start, end = window
    ranks = sorted({event["pid"] for event in events})
    models = sorted({event["args"].get("model", "") for event in events} - {""})
    shades = {model: colour(index) for index, model in enumerate(models)}
    figure, axes = plt.subplots(figsize=(9, 0.75 * len(ranks) + 1.3), layout="constrained")
    ticks, labels = [], []
    for position, rank in enumerate(ranks):
        for row, name in ROWS.items():
            y = -(position * 2.6 + row)
            ticks.append(y)
            labels.append(f"rank {rank} {name}")
            for event in events:
                if event["pid"] != rank or event["tid"] != row:
                    continue
                left = max(event["ts"], start)
                right = min(event["ts"] + event["dur"], end)
                if right <= left:
                    continue
                waiting = event["name"].startswith("wait")
                axes.barh(
                    y,
                    (right - left) / 1e3,
                    left=(left - start) / 1e3,
                    height=0.82,
                    color="white" if waiting else shades.get(event["args"].get("model", ""), INK),
                    edgecolor="#b9bec5" if waiting else "white",
                    hatch="////" if waiting else None,
                    linewidth=0.3,
                    zorder=3 if waiting else 2,
                )
    for model in models:
        axes.barh(0, 0, color=shades[model], label=model)
    axes.barh(0, 0, color="white", edgecolor="#b9bec5", hatch="////", label="waits for a chunk")
    axes.set_yticks(ticks, labels)
    axes.set_xlim(0, (end - start) / 1e3)
    axes.set_xlabel("milliseconds")
    axes.set_title(title)
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=len(models) + 1)
    figure.savefig(path)
    plt.close(figure)
