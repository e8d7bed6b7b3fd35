"""The results of a run as tables and pictures.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/swap-scaling/tables.py DIR/DEVICE.json [README]

README is a file that gets the tables, between its lines <!-- DEVICE tables --> and <!-- end -->.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import published
from experiments import markdown
from forms import ALL, COMPUTRON, OURS, PREFETCH, SWITCHES
from measured import Layout, Results

TORCH = "torch"


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def main_table(results: Results) -> str:
    lines = []
    for layout in results.layouts:
        ideal = results.ideal(layout)
        load = results.median(OURS, layout, "load")
        response = results.median(OURS, layout, "response")
        own = [_cell(results.median(OURS, layout, what), ".4f")
               for what in ("load", "first_token", "response", "resident")]  # fmt: skip
        lines.append([
            f"({layout[0]},{layout[1]})", _cell(ideal, ".4f"), *own,
            _cell(load and ideal and ideal / load, ".1%"),
            _cell(response and ideal and response / ideal, ".2f") + "x",
        ])  # fmt: skip
    head = ["(tp,pp)", "ideal", "load", "first token", "response", "resident response",
            "load: of the ideal", "response: to the ideal"]  # fmt: skip
    return markdown.table(head, lines)


def rules_table(results: Results) -> str:
    """Responses over ours, rule by rule."""
    names = [PREFETCH, *SWITCHES, ALL, COMPUTRON, TORCH]
    lines = []
    for layout in results.layouts:
        ours = results.median(OURS, layout, "response") or 0.0
        cells = [_cell(ours, ".4f")]
        for name in names:
            value = results.median(name, layout, "response")
            cells.append(f"{value:.4f} ({value / ours:.2f}x)" if value else "")
        lines.append([f"({layout[0]},{layout[1]})", *cells])
    present = [name for name in names if any((name, at) in results.rows for at in results.layouts)]
    keep = [0, 1, *(2 + names.index(name) for name in present)]
    head = ["(tp,pp)", "ours", *names]
    return markdown.table([head[i] for i in keep], [[line[i] for i in keep] for line in lines])


def published_table(results: Results) -> str:
    lines = []
    for layout in results.layouts:
        _, load, response = published.TIMES[layout]
        lines.append([
            f"({layout[0]},{layout[1]})", f"{load:.3f}", f"{response:.3f}",
            f"{published.share(layout, 1):.0%}", f"{published.share(layout, 2):.0%}",
            *(_cell(results.share(name, layout), ".0%") for name in (OURS, COMPUTRON)),
            _cell(_response_share(results, layout), ".0%"),
        ])  # fmt: skip
    head = ["(tp,pp)", "Computron: load", "response", "load: of nominal", "response: of nominal",
            "ours: load, of nominal", "its rules here: load, of nominal",
            "ours: response, of nominal"]  # fmt: skip
    return markdown.table(head, lines)


def _response_share(results: Results, layout: Layout) -> float | None:
    response, once = results.median(OURS, layout, "response"), results.get(OURS, (1, 1))
    if response is None or once is None:
        return None
    ranks = layout[0] * layout[1]
    return published.nominal_seconds(once["model_bytes"], ranks, results.link) / response


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("results", type=Path, help="what run.py wrote; pictures go beside it")
    parser.add_argument("readme", type=Path, nargs="?", help="where the tables are put; none: nowhere")
    args = parser.parse_args()
    results = Results(args.results)
    tables: list[Callable[[Results], str]] = [main_table, rules_table, published_table]
    text = "\n\n".join(table(results) for table in tables)
    print(text)
    if args.readme:
        markdown.put(args.readme, f"{results.device} tables", text)
    import draw  # matplotlib may be missing where tables are wanted

    draw.bars(results, args.results.with_name(f"{results.device}-bars.png"))
    draw.parts(results, args.results.with_name(f"{results.device}-parts.png"))


if __name__ == "__main__":
    main()
