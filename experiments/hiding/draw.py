"""The sweep's picture: what is hidden, what the resident model pays, and what the others wait."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.plot.look import colour, plt
from forms import ALL, ROOM

FILES = ["sweep.json", "gpu.json", "simulated.json"]
LABELS = {"paced": "paced CPU device", "cuda": "H200s", "simulated": "simulated H200s"}
GREY = {"color": "#9aa1a9", "linewidth": 0.8, "linestyle": ":"}

Rows = Sequence[dict[str, Any]]


def _label(form: str) -> str:
    kind, layout = form.split(" ")
    return f"{LABELS[kind]} {layout}"


def _gap_ratios(rows: Rows, part: str) -> tuple[list[float], list[float]]:
    resident = {row["level"]: row["gap_ms"][part] for row in rows if row["room"] == ALL}
    beside = [row for row in rows if row["room"] == ROOM and row["level"] in resident]
    places = [row["at_work"] for row in beside]
    return places, [row["gap_ms"][part] / resident[row["level"]] for row in beside]


def draw(rows: Rows, path: Path) -> None:
    figure, (shares, prices, waits) = plt.subplots(1, 3, figsize=(10, 3.5), layout="constrained")
    for index, form in enumerate(dict.fromkeys(row["form"] for row in rows)):
        mine = [row for row in rows if row["form"] == form]
        beside = [row for row in mine if row["room"] == ROOM]
        places = [row["at_work"] for row in beside]
        look = {"color": colour(index), "marker": ".", "linewidth": 1.3}
        shares.plot(places, [row["hidden_share"] for row in beside], label=_label(form), **look)
        for part, style in (("p50", "--"), ("p99", "-")):
            prices.plot(*_gap_ratios(mine, part), linestyle=style, **look)
        loads = [row["load_ms"] for row in beside]
        firsts = [row["others_first_ms"]["p50"] for row in beside]
        waits.plot(places, [f / load for f, load in zip(firsts, loads, strict=True)], **look)
    for axes, title in (
        (shares, "share of load time hidden"),
        (prices, "its gaps between tokens, loads / none\n(p99; dashed: p50)"),
        (waits, "the others' first token / load (p50)"),
    ):
        axes.set_xscale("symlog", linthresh=0.25)
        axes.set_xticks([0, 0.25, 1, 4, 16], ["0", "1/4", "1", "4", "16"])
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("requests of the resident model at once")
    shares.set_ylim(0, 1.03)
    prices.axhline(1, **GREY)
    prices.set_ylim(bottom=0)
    waits.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=4)
    figure.savefig(path)
    plt.close(figure)


def read(folder: Path) -> Rows:
    """What FOLDER has of the sweep."""
    rows: list[dict[str, Any]] = []
    for name in FILES:
        path = folder / "results" / name
        if path.exists():
            rows += json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows
