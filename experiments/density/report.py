"""The README's tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cases import GPUS, MODES, POLICIES, ROOMS, SHARES, STATIC
from simulated import BOUNDS

from experiments import markdown

Row = dict[str, Any]


def held(rows: Sequence[Row]) -> str:
    """Models per GPU that are held, by bound, a line for each room, kind of demand and shares."""
    found = {(r["room"], r["mode"], r["shares"], r["policy"]): r for r in rows}
    policies = [STATIC, *POLICIES]
    lines = []
    for room in ROOMS:
        for mode in MODES:
            for shares in SHARES:
                line = [f"{ROOMS[room]}, {mode}, {shares}"]
                for policy in policies:
                    row = found[room, mode, shares, policy]
                    counts = [row[f"within_{bound:g}"] / GPUS for bound in BOUNDS]
                    line.append(" / ".join(f"{count:g}" for count in counts))
                lines.append(line)
    return markdown.table(["room for, demand", *policies], lines)


def live(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        sides = row["live"], row["simulated"]
        lines.append(
            [
                f"{row['models']}, {row['shares']}",
                row["policy"],
                *(" / ".join(f"{side[key] * 1e3:.0f}" for side in sides)
                  for key in ("mean_s", "p99_s")),
                " / ".join(str(side["loads"]) for side in sides),
                " / ".join(f"{side['in_time_5']:.1%}" for side in sides),
            ]
        )  # fmt: skip
    head = ["models", "policy", "mean live / sim., ms", "p99, ms", "loads", "in time"]
    return "Live, room for two models:\n\n" + markdown.table(head, lines)
