"""Share of requests in time, and the slowest hundredth's latency, against the number of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cases import MODES, ROOMS, SHARES, STATIC
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from simulated import BOUNDS, HELD, Cell

from experiments.plot.look import colour, plt

LOOKS = {STATIC: ("x", 1), "lru": ("o", 0), "all or nothing": ("s", 3), "swap_aware": ("D", 2)}
GREY = {"color": "#9aa1a9", "linewidth": 0.8, "linestyle": ":"}


def _curves(axes: Axes, cells: Sequence[Cell], field: str, scale: float) -> None:
    for policy, (mark, index) in LOOKS.items():
        of = sorted((c for c in cells if c.policy == policy), key=lambda c: c.models)
        if policy == STATIC and field == "p99_s":
            continue  # of what it serves: of the others there is none
        look = {"marker": mark, "markersize": 3.5, "linewidth": 1.3, "color": colour(index)}
        values = [getattr(c, field) / scale for c in of]
        axes.plot([c.models_per_gpu for c in of], values, label=policy, **look)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    ticks = sorted({c.models_per_gpu for c in cells})[::3]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def draw(cells: Sequence[Cell], alone_s: float, path: Path) -> None:
    kinds = [(room, shares) for room in ROOMS for shares in SHARES]
    figure, panels = plt.subplots(
        2, len(kinds), figsize=(10.4, 5.0), sharey="row", sharex="col", layout="constrained"
    )
    for column, (room, shares) in zip(panels.T, kinds, strict=True):
        mine = [c for c in cells if (c.room, c.shares) == (room, shares)]
        _curves(column[0], [c for c in mine if c.mode == MODES[1]], "in_time_5", 1)
        column[0].axhline(HELD, **GREY)
        _curves(column[1], [c for c in mine if c.mode == MODES[0]], "p99_s", alone_s)
        for bound in BOUNDS:
            column[1].axhline(bound, **GREY)
        column[0].set_title(f"room for {room.split()[0]}, {shares}", fontsize=9)
        column[1].set_xlabel("models per GPU")
    panels[0][0].set_ylim(0, 1.03)
    panels[0][0].set_ylabel("in time (5 x), rate\nof each model fixed")
    panels[1][0].set_ylim(0, 6)
    panels[1][0].set_ylabel("p99 / cold and alone,\ntotal rate fixed")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.savefig(path)
    plt.close(figure)
