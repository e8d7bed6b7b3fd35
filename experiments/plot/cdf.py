"""Cumulative distributions of latency, one curve a series."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .look import colour, plt


def draw(
    series: Mapping[str, Sequence[float]],
    path: Path,
    title: str,
    unit: str = "seconds",
) -> None:
    """Writes the picture of SERIES (name to values) to PATH."""
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for index, (name, values) in enumerate(series.items()):
        ordered = sorted(values)
        shares = [(i + 1) / len(ordered) for i in range(len(ordered))]
        axes.step(
            ordered,
            shares,
            where="post",
            label=f"{name} ({len(ordered)})",
            color=colour(index),
            linewidth=1.6,
        )
    axes.set_ylim(0, 1.01)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"latency ({unit})")
    axes.set_ylabel("share of requests")
    axes.set_title(title)
    axes.legend(loc="lower right")
    figure.savefig(path)
    plt.close(figure)
