"""Tokens a second, times to the first token and between tokens, against the request rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cases import POLICIES, RESIDENT
from simulated import Cell

from experiments.plot.look import INK, colour, plt

PANELS = [
    ("tokens_per_s", "tokens a second, from 30 to 120 s", False),
    ("first_p50_s", "first token, p50 (s)", True),
    ("first_p99_s", "first token, p99 (s)", True),
    ("gap_p50_s", "between tokens, p50 (s)", True),
    ("gap_p99_s", "between tokens, p99 (s)", True),
    ("stalled", "share of waiting in gaps over 1 s", False),
]
COLOURS = {"computron": 1, "lru": 0, "swap_aware": 2}


def draw(cells: Sequence[Cell], path: Path) -> None:
    figure, panels = plt.subplots(2, 3, figsize=(9.6, 5.4), layout="constrained")
    for axes, (field, label, log) in zip(panels.flat, PANELS, strict=True):
        for policy in POLICIES:
            of = [c for c in cells if c.policy == policy and c.output == "chat"]
            look = {"color": INK if policy == RESIDENT else colour(COLOURS.get(policy, 3))}
            axes.plot([c.rate for c in of], [getattr(c, field) for c in of], label=policy,
                      marker=".", linewidth=1.4, **look)  # fmt: skip
        if field == "tokens_per_s":
            offered = [c for c in cells if c.policy == RESIDENT and c.output == "chat"]
            axes.plot([c.rate for c in offered], [c.offered_per_s for c in offered], label="offered",
                      linewidth=1.0, linestyle=":", color=INK)  # fmt: skip
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        else:
            axes.set_ylim(bottom=0)
        axes.set_title(label, fontsize=9)
    for axes in panels[1]:
        axes.set_xlabel("requests a second")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6)
    figure.suptitle("simulated: 40 models of OPT-13B's shape on four H200s, answers of chat length", fontsize=9)
    figure.savefig(path)
    plt.close(figure)
