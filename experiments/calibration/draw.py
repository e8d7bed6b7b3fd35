"""Latencies live and simulated, one panel a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.plot.look import colour, plt

COLUMNS = 3


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes the picture of ROWS, as calibration's results.json has them, to PATH."""
    lines = -(-len(rows) // COLUMNS)
    figure, grid = plt.subplots(
        lines, COLUMNS, figsize=(9, 2.5 * lines), layout="constrained", squeeze=False
    )
    panels = [panel for line in grid for panel in line]
    for panel, row in zip(panels, rows):
        for index, (side, look) in enumerate((("live", "-"), ("simulated", "--"))):
            values = row["latencies_ms"][side]
            shares = [(i + 1) / len(values) for i in range(len(values))]
            panel.step(values, shares, where="post", linestyle=look, linewidth=1.6,
                       color=colour(index), label=side)  # fmt: skip
        panel.set_xlim(left=0)
        panel.set_ylim(0, 1.01)
        panel.set_title(row["case"], fontsize=8)
    for panel in panels[len(rows) :]:
        panel.set_visible(False)
    for line in grid:
        line[0].set_ylabel("share of requests")
    grid[-1][0].set_xlabel("latency (ms)")
    panels[0].legend(loc="lower right")
    figure.savefig(path)
    plt.close(figure)
