"""The look that all pictures share."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

__all__ = ["COLOURS", "GRID", "INK", "colour", "plt"]

COLOURS = ["#3b6fb6", "#d9822b", "#4a9d5b", "#b3456b", "#7a5fa8", "#8c7b4f", "#3fa7a3", "#777777"]
INK = "#22262b"
GRID = "#e3e6ea"

plt.rcParams.update(
    {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.edgecolor": "#9aa1a9",
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "figure.dpi": 130,
    }
)


def colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
