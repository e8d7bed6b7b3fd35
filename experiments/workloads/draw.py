"""The pictures: distributions of latency, where each scheduler breaks, live beside simulated, and the
one that says most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from breaking import BASES, HELD, curve
from cases import CASES, COMPUTRON, LABELS, LRU, RESIDENT, SWAP_AWARE, Case
from live import latencies
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from simulated import of_case

from experiments.plot.look import colour, plt

SHADES = {COMPUTRON: colour(1), LRU: colour(0), SWAP_AWARE: colour(2), RESIDENT: colour(7)}
A100_SHADE = "#c9b79a"
WHATS = {"rate": "requests a second", "cv": "CV of the gaps", "slo": "SLO, in unloaded cold latencies"}


def seconds(axes: Axes) -> None:
    """A logarithmic axis of seconds, with plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def distributions(cells: Sequence[dict[str, Any]], quantiles: Sequence[dict[str, Any]],
                  models: int, path: Path) -> None:  # fmt: skip
    """Simulated: a panel for each set of rates and each CV, as in the paper."""
    figure, panels = plt.subplots(3, 3, figsize=(9.2, 7.0), sharex=True, sharey=True,
                                  layout="constrained")  # fmt: skip
    for axes, case in zip(panels.flat, [case for case in CASES if case.models == models]):
        own, drawn = of_case(quantiles, case), of_case(cells, case)
        lines = [(("A100", COMPUTRON), "Computron's rules on its A100s", A100_SHADE, 1.2)]
        lines += [(("H200", v), LABELS[v], SHADES[v], 1.5) for v in SHADES]
        for key, label, shade, width in lines:
            points = [(float(share), value) for share, value in own[key].items()
                      if share.startswith(("0.", "1"))]  # fmt: skip
            axes.step([value for _, value in points], [share for share, _ in points],
                      where="post", color=shade, linewidth=width, label=label)  # fmt: skip
        axes.plot(case.published_s, 0.03, "^", color=A100_SHADE, markersize=6, clip_on=False,
                  label="mean that Computron published")  # fmt: skip
        axes.plot(drawn["A100", COMPUTRON]["mean_s"], 0.03, "|", color=A100_SHADE, markersize=9,
                  label="mean of its emulation")  # fmt: skip
        axes.set_title(case.name)
        seconds(axes)
    for axes in panels[-1]:
        axes.set_xlabel("latency (s)")
    for row in panels:
        row[0].set_ylabel("share of requests")
        row[0].set_ylim(0, 1.01)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.savefig(path)
    plt.close(figure)


def _attainment(axes: Axes, rows: Sequence[dict[str, Any]], base: Any, what: str) -> None:
    for variant, shade in SHADES.items():
        points = curve(rows, base, what, variant)
        axes.plot([x for x, _ in points], [100 * share for _, share in points], marker=".",
                  color=shade, linewidth=1.4, label=LABELS[variant])  # fmt: skip
    axes.axhline(100 * HELD, color="#9aa1a9", linewidth=0.8, linestyle=":")
    if what != "cv":
        seconds(axes)
    axes.set_ylim(0, 102)
    axes.set_xlabel(WHATS[what])


def breaking(rows: Sequence[dict[str, Any]], path: Path) -> None:
    figure, panels = plt.subplots(len(BASES), len(WHATS), figsize=(9.2, 7.2), sharey=True,
                                  layout="constrained")  # fmt: skip
    for line, base in zip(panels, BASES):
        for axes, what in zip(line, WHATS):
            _attainment(axes, rows, base, what)
            at = "" if what == "rate" else f", {base.factor * sum(base.case.rates):g} a second"
            rates = base.case.name.partition(", CV")[0]
            axes.set_title(f"{rates}{at}" if what == "cv" else f"{base.case.name}{at}", fontsize=9)
        line[0].set_ylabel("% in time")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    figure.savefig(path)
    plt.close(figure)


def overlay(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """Live in full, simulated dotted; a panel for each list of arrivals."""
    keys = list(dict.fromkeys((tuple(row["rates"]), row["cv"]) for row in rows))
    columns = min(3, len(keys))
    lines = -(-len(keys) // columns)
    figure, panels = plt.subplots(lines, columns, figsize=(3.1 * columns, 2.6 * lines + 0.5),
                                  sharey=True, squeeze=False, layout="constrained")  # fmt: skip
    for axes, (rates, cv) in zip(panels.flat, keys):
        for row in rows:
            if (tuple(row["rates"]), row["cv"]) != (rates, cv):
                continue
            for side, style in (("live", "-"), ("simulated", ":")):
                if side in row:
                    values = latencies(row[side])
                    shares = [(index + 1) / len(values) for index in range(len(values))]
                    axes.step(values, shares, style, where="post", color=SHADES[row["variant"]],
                              linewidth=1.5, label=f"{LABELS[row['variant']]}, {side}")  # fmt: skip
        axes.set_title(Case(rates, cv).name)
        axes.set_ylim(0, 1.01)
        seconds(axes)
    for axes in panels[-1]:
        axes.set_xlabel("latency (s)")
    for line in panels:
        line[0].set_ylabel("share of requests")
    named = {text: handle for axes in panels.flat
             for handle, text in zip(*axes.get_legend_handles_labels())}  # fmt: skip
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path)
    plt.close(figure)


def summary(cells: Sequence[dict[str, Any]], curves: Sequence[dict[str, Any]],
            rows: Sequence[dict[str, Any]], path: Path) -> None:  # fmt: skip
    """Means of the 18 (and of what ran live), and where each scheduler breaks."""
    figure, (means, breaks) = plt.subplots(1, 2, figsize=(9.6, 4.4), layout="constrained",
                                           width_ratios=[1.35, 1])  # fmt: skip
    at = {case: len(CASES) - index for index, case in enumerate(CASES)}
    for variant, shade in SHADES.items():
        values = [of_case(cells, case)["H200", variant]["mean_s"] for case in CASES]
        means.plot(values, list(at.values()), "D", color=shade, markersize=4, label=LABELS[variant])
        measured = [(row["live"]["mean_s"], at[Case(tuple(row["rates"]), row["cv"])])
                    for row in rows if row["variant"] == variant]  # fmt: skip
        if measured:
            means.plot([x for x, _ in measured], [y for _, y in measured], "o", color=shade,
                       markerfacecolor="none", markersize=8)  # fmt: skip
    bound = [of_case(cells, case)["H200", LRU]["bound_s"] for case in CASES]
    means.plot(bound, list(at.values()), "|", color="#444444", markersize=8,
               label="bound, future known")  # fmt: skip
    if rows:
        means.plot([], [], "o", color="#444444", markerfacecolor="none", markersize=8,
                   label="live, 20 s of it")  # fmt: skip
    means.set_yticks(list(at.values()), [case.name for case in at])
    seconds(means)
    means.set_xlabel("mean latency (s)")
    means.set_title("Computron's 18 workloads on 4x H200, simulated")
    base = BASES[-1]
    _attainment(breaks, curves, base, "rate")
    breaks.set_ylabel("% within 2 unloaded cold latencies")
    breaks.set_title(f"Rates scaled up: {base.case.name}")
    handles, labels = means.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6)
    figure.savefig(path)
    plt.close(figure)
