"""What a run measured, by what ran and by layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import published
from forms import AFTER, BEFORE, LAYOUTS, OURS

Layout = tuple[int, int]
Row = dict[str, Any]


class Results:
    """A file of run.py, by layout."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        self.content = content
        self.device: str = content["device"]
        self.link: float = content["link_bytes_per_s"]
        self.rows: dict[tuple[str, Layout], Row] = {}
        for row in content["rows"]:
            name = row.get("variant", row["system"])
            self.rows[name, (row["tp"], row["pp"])] = row
        self.layouts = [layout for layout in LAYOUTS if (OURS, layout) in self.rows]

    def get(self, name: str, layout: Layout) -> Row | None:
        return self.rows.get((name, layout))

    def median(self, name: str, layout: Layout, what: str) -> float | None:
        row = self.get(name, layout)
        return row[what + "_s"]["median"] if row else None

    def ideal(self, layout: Layout) -> float | None:
        """Bare copies, before our server or after it, whichever were faster. The paced link's rate is
        known: the largest rank's bytes over it, as a single copy of the CPU device adds its own memcpy."""
        rows = [row for name in (BEFORE, AFTER) if (row := self.get(name, layout))]
        if not rows:
            return None
        if self.device == "cpu":
            return float(rows[0]["rank_bytes_max"]) / self.link
        return float(min(row["bare_copies_s"] for row in rows))

    def share(self, name: str, layout: Layout) -> float | None:
        """A load's share of the nominal rate of all links, the model's bytes counted once, as at
        (1,1): what a stage needs a second time of is not the links' doing, and not free either."""
        load, once = self.median(name, layout, "load"), self.get(OURS, (1, 1))
        if load is None or once is None:
            return None
        ranks = layout[0] * layout[1]
        return published.nominal_seconds(once["model_bytes"], ranks, self.link) / load
