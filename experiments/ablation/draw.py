"""Pictures of the table and of the sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import NullFormatter
from rows import PROFILES
from sweep import HELD, Curve
from table import Cell
from targets import by_row

from experiments.plot.look import colour, plt

MARKS = [("lru", "lru", "o", 0), ("swap_aware", "swap_aware", "D", 2)]


def means(cells: Sequence[Cell], path: Path) -> None:
    """Means as shares of Computron's, a line a row."""
    rows = by_row(cells)
    figure, panels = plt.subplots(
        1, len(PROFILES), figsize=(9.2, 6.0), sharey=True, layout="constrained"
    )
    for axes, profile in zip(panels, PROFILES, strict=True):
        of = {name: row for (p, name), row in rows.items() if p == profile}
        at = range(len(of), 0, -1)
        full = [row["computron"].mean for row in of.values()]
        for variant, label, mark, index in MARKS:
            shares = [row[variant].mean / f for row, f in zip(of.values(), full, strict=True)]
            axes.plot(shares, at, mark, color=colour(index), markersize=4.5, label=label)
        for kind, label, index in (("blind", "bound, future unknown", 3), ("bound", "bound", 7)):
            shares = [
                getattr(row["lru"], kind) / f for row, f in zip(of.values(), full, strict=True)
            ]
            axes.plot(shares, at, "|", color=colour(index), markersize=9, label=label)
        axes.axvline(0.5, color=colour(1), linewidth=0.8, linestyle=":")
        axes.set_yticks(list(at), list(of))
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("mean latency, Computron's = 1")
        axes.set_title(profile)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.savefig(path)
    plt.close(figure)


def attainment(curves: Sequence[Curve], path: Path) -> None:
    names = sorted({(curve.profile, curve.row) for curve in curves})
    figure, panels = plt.subplots(
        2, (len(names) + 1) // 2, figsize=(11.5, 5.4), layout="constrained"
    )
    for axes, name in zip(panels.flat, names, strict=False):
        for index, curve in enumerate(c for c in curves if (c.profile, c.row) == name):
            axes.plot(
                curve.rates,
                curve.attainment,
                marker=".",
                color=colour(index),
                label=curve.variant,
                linewidth=1.4,
            )
        axes.axhline(HELD, color="#9aa1a9", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_ylim(0, 1.02)
        axes.set_title(f"{name[0]}: {name[1]}", fontsize=7)
        axes.set_xlabel("requests a second")
        axes.set_ylabel("in time")
    panels.flat[0].legend(loc="lower left")
    figure.savefig(path)
    plt.close(figure)
