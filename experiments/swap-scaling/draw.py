"""Two pictures of a run: responses with the ideal line, and what each response is made of."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from experiments.plot.look import INK, colour, plt
from forms import ALL, COMPUTRON, OURS, PREFETCH, SWITCHES
from measured import Layout, Results

NAMES = {
    OURS: "ours", PREFETCH: "ours, guessing", "copy_back": "copy back", "wait_whole_load": "wait for the whole load",
    "poll": "poll", ALL: "all three", COMPUTRON: "all three, copies overlap", "torch": "torch",
}  # fmt: skip
SHORT = {ALL: "all", COMPUTRON: "all, overlap"}
ORDER = [OURS, PREFETCH, *SWITCHES, ALL, COMPUTRON, "torch"]
PARTS = {"swap": "swap", "compute": "computing after it", "overhead": "rest"}
WIDTH = 0.84


def _where(results: Results) -> str:
    if results.device == "cpu":
        return "paced CPU device, not a GPU"
    name = str(next(row["device"] for row in results.rows.values() if row["system"] == "ceiling"))
    ranks = max(tp * pp for tp, pp in results.layouts)
    return f"{ranks}x {name.partition(' 0000:')[0]}"  # without its address


def _ideal_name(results: Results) -> str:
    rate = "the link's set rate" if results.device == "cpu" else "bare copies"
    return f"ideal: {rate}"


def _names(results: Results, enough: int) -> list[str]:
    """The series that at least ENOUGH layouts have."""
    return [
        name
        for name in ORDER
        if sum((name, layout) in results.rows for layout in results.layouts) >= enough
    ]


def _label(layout: Layout) -> str:
    return f"({layout[0]},{layout[1]})"


def bars(results: Results, path: Path) -> None:
    """Median responses of all that was run, with the bare copies of the same bytes."""
    figure, axes = plt.subplots(figsize=(8.4, 3.8), layout="constrained")
    names = _names(results, 1)
    step = WIDTH / len(names)
    for index, name in enumerate(names):
        for at, layout in enumerate(results.layouts):
            row = results.get(name, layout)
            if not row:
                continue
            response = row["response_s"]
            left = at - WIDTH / 2 + (index + 0.5) * step
            axes.bar(left, response["median"], 0.92 * step, color=colour(index),
                     label=NAMES[name] if layout == _first(results, name) else None)  # fmt: skip
            axes.plot([left, left], [response["min"], response["max"]], color=INK, linewidth=0.8)
    for at, layout in enumerate(results.layouts):
        ideal = results.ideal(layout)
        if ideal:
            axes.plot([at - WIDTH / 2, at + WIDTH / 2], [ideal, ideal], color=INK, linewidth=1.4,
                      linestyle=(0, (4, 2)), label=_ideal_name(results) if at == 0 else None)  # fmt: skip
    axes.set_xticks(range(len(results.layouts)), [_label(layout) for layout in results.layouts])
    axes.set_xlabel("(tp, pp)")
    axes.set_ylabel("response, seconds")
    axes.grid(axis="x", visible=False)
    axes.set_title(f"Two models taking turns, room for one ({_where(results)})")
    axes.legend(ncols=2, fontsize=8)
    figure.savefig(path)
    plt.close(figure)


def _first(results: Results, name: str) -> Layout:
    return next(layout for layout in results.layouts if results.get(name, layout))


def parts(results: Results, path: Path) -> None:
    """What the responses are made of, for those that all layouts have; below, without the swap."""
    figure, panels = plt.subplots(2, 1, figsize=(8.4, 5.2), sharex=True, layout="constrained",
                                  height_ratios=[3, 2])  # fmt: skip
    names = [name for name in _names(results, len(results.layouts))
             if name not in (*SWITCHES, PREFETCH)]  # fmt: skip
    step = WIDTH / len(names)
    ticks: list[float] = []
    labels: list[str] = []
    for at, layout in enumerate(results.layouts):
        for index, name in enumerate(names):
            ticks.append(at - WIDTH / 2 + (index + 0.5) * step)
            labels.append(SHORT.get(name, name))
            _stack(panels[0], results, name, layout, ticks[-1], step, list(PARTS), 1.0)
            _stack(panels[1], results, name, layout, ticks[-1], step, list(PARTS)[1:], 1e3)
        panels[1].text(at, -0.42, _label(layout), ha="center", va="top", fontsize=9,
                       transform=panels[1].get_xaxis_transform())  # fmt: skip
    panels[1].set_xticks(ticks, labels, rotation=90, fontsize=7)
    panels[1].tick_params(axis="x", length=0)
    panels[0].set_ylabel("seconds (medians)")
    panels[1].set_ylabel("without the swap, ms")
    for axes in panels:
        axes.grid(axis="x", visible=False)
    panels[0].set_title(f"What a response is made of ({_where(results)})")
    panels[0].legend(handles=[Patch(color=colour(i), label=PARTS[what])
                              for i, what in enumerate(PARTS)], fontsize=8)  # fmt: skip
    figure.savefig(path)
    plt.close(figure)


def _stack(axes: Axes, results: Results, name: str, layout: Layout, left: float, step: float,
           what: list[str], scale: float) -> None:  # fmt: skip
    row, under = results.get(name, layout), 0.0
    assert row
    for part in what:
        height = scale * row[part + "_s"]
        axes.bar(left, height, 0.88 * step, bottom=under, color=colour(list(PARTS).index(part)))
        under += height
