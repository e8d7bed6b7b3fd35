"""Mean and p99 of each variant, live beside simulated, one panel a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.plot.look import colour, plt

WIDTH = 0.38


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes the picture of ROWS, as the ablation's results.json has them, to PATH."""
    figure, panels = plt.subplots(
        1, len(rows), figsize=(3.1 * len(rows) + 0.6, 3.4), layout="constrained", squeeze=False
    )
    for panel, row in zip(panels[0], rows):
        names = list(row["cells"])
        for index, side in enumerate(("live", "simulated")):
            found = [row["cells"][name].get(side, {}) for name in names]
            places = [i + (index - 0.5) * WIDTH for i in range(len(names))]
            means = [cell.get("mean_ms", 0) for cell in found]
            panel.bar(places, means, WIDTH, color=colour(index), label=f"{side}, mean")
            panel.plot(places, [cell.get("p99_ms", 0) for cell in found], linestyle="none",
                       marker="_", markersize=9, color=colour(index), label=f"{side}, p99")  # fmt: skip
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right")
        panel.set_title(row["row"], fontsize=8)
        panel.grid(axis="x", visible=False)
    panels[0][0].set_ylabel("latency (ms)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.savefig(path)
    plt.close(figure)
