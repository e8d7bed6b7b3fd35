"""The README's table of the sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments import markdown
from forms import ALL, ROOM

Row = dict[str, Any]


def sweep(rows: Sequence[Row]) -> str:
    resident = {(row["form"], row["level"]): row for row in rows if row["room"] == ALL}
    lines = []
    for row in rows:
        if row["room"] != ROOM:
            continue
        line = [row["form"], row["level"], f"{row['at_work']:.2f}", f"{row['loads']}",
                f"{row['load_ms']:.0f}", f"{row['hidden_share']:.1%}"]  # fmt: skip
        other = resident.get((row["form"], row["level"]))
        for part in ("p50", "p99"):
            gaps = [one["gap_ms"][part] for one in (row, other) if one and "gap_ms" in one]
            line.append(" / ".join(f"{gap:.1f}" for gap in gaps) or "-")
        line.append(f"{row['others_first_ms']['p50']:.0f}")
        lines.append(line)
    head = ["machine", "requests at once", "mean", "loads", "load, ms", "hidden",
            "gaps p50, loads / none, ms", "p99", "others' first token, ms"]  # fmt: skip
    return markdown.table(head, lines)
