"""What the table must show, counted."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rows import ADDED, ROWS
from sweep import Curve, rate_held
from table import Cell

Rows = dict[tuple[str, str], dict[str, Cell]]  # by profile and row, then variant


@dataclass(frozen=True)
class Target:
    text: str
    met: bool | None  # none: it could not be judged
    found: str


def by_row(cells: Sequence[Cell]) -> Rows:
    rows: Rows = {}
    for cell in cells:
        rows.setdefault((cell.profile, cell.row), {})[cell.variant] = cell
    return rows


def asked_for(rows: Rows) -> Rows:
    """The rows that the targets are about."""
    added = {row.name for row in ROWS if row.group == ADDED}
    return {key: row for key, row in rows.items() if key[1] not in added}


WORSE = 1.001  # what counts as worse: less is a step that fell on the other side of a report


def worse_than_lru(rows: Rows) -> list[str]:
    """Rows where swap_aware loses to lru, with what and by how much."""
    lost = []
    for (profile, name), row in rows.items():
        for what in ("mean", "p99"):
            ours, lru = getattr(row["swap_aware"], what), getattr(row["lru"], what)
            if ours > WORSE * lru:
                lost.append(f"{profile}, {name}: {what} {ours / lru:.3f} of lru's")
    return lost


def count(rows: Rows, other: str, most: float) -> int:
    return sum(row["swap_aware"].mean <= most * row[other].mean for row in rows.values())


def distances(rows: Rows, bound: str) -> list[float]:
    return [row["swap_aware"].mean / getattr(row["swap_aware"], bound) for row in rows.values()]


def kept(rows: Rows) -> int:
    """Rows that are not lost to lru."""
    return len(rows) - len({text.rpartition(":")[0] for text in worse_than_lru(rows)})


def judge(cells: Sequence[Cell], curves: Sequence[Curve]) -> list[Target]:
    all_rows = by_row(cells)
    rows = asked_for(all_rows)

    def share(found: int, of_all: int) -> str:
        return f"{found} of {len(rows)} rows; with those added {of_all} of {len(all_rows)}"

    halved, fifth = count(rows, "computron", 0.5), count(rows, "lru", 0.8)
    seen = statistics.median(distances(rows, "bound"))
    blind = statistics.median(distances(rows, "blind"))
    targets = [
        Target(
            "swap_aware no worse than lru in mean and p99 on every row",
            kept(rows) == len(rows),
            share(kept(rows), kept(all_rows)),
        ),
        Target(
            "mean at most half of Computron's on two thirds of the rows",
            3 * halved >= 2 * len(rows),
            share(halved, count(all_rows, "computron", 0.5)),
        ),
        Target(
            "mean at most 0.8 of lru's on half of the rows",
            2 * fifth >= len(rows),
            share(fifth, count(all_rows, "lru", 0.8)),
        ),
        Target(
            "distance to the bound at most 1.5 on the median",
            seen <= 1.5,
            f"{seen:.2f} (to that of schedulers that cannot foresee arrivals: {blind:.2f})",
        ),
    ]
    for name in sorted({(curve.profile, curve.row) for curve in curves}):
        of = {curve.variant: curve for curve in curves if (curve.profile, curve.row) == name}
        theirs, ours = rate_held(of["computron"]), rate_held(of["swap_aware"])
        met: bool | None = theirs > 0 and ours >= 2 * theirs
        found = f"{ours:.1f} requests/s; Computron never holds it"
        if theirs:
            found = f"{ours / theirs:.1f} times ({ours:.1f} and {theirs:.1f} requests/s)"
        if theirs == of["computron"].rates[-1]:
            met, found = None, f"Computron holds it at {theirs:.1f} requests/s, the most tried"
        targets.append(
            Target(f"99% in time at twice Computron's rate: {name[0]}, {name[1]}", met, found)
        )
    return targets


def summary(cells: Sequence[Cell], curves: Sequence[Curve]) -> dict[str, Any]:
    rows = asked_for(by_row(cells))
    return {
        "targets": [vars(target) for target in judge(cells, curves)],
        "lost_to_lru": worse_than_lru(by_row(cells)),
        "median_distance": statistics.median(distances(rows, "bound")),
        "median_distance_blind": statistics.median(distances(rows, "blind")),
    }
