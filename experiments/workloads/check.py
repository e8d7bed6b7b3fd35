"""The short form: on a live server of the paced CPU device, is swap_aware's mean at most that of
Computron's rules on the same arrivals?"""

from __future__ import annotations

from typing import Any

import live
from cases import COMPUTRON, SMALL, SWAP_AWARE, Case

CASE = Case((10, 10, 1, 1, 1, 1), 0.25)
SECONDS = 4.0
AGAIN = 2  # other work on the machine may turn the order around once


def wrong(rows: list[dict[str, Any]]) -> list[str]:
    """What contradicts."""
    found = {row["variant"]: row["live"] for row in rows}
    ours, theirs = found[SWAP_AWARE], found[COMPUTRON]
    texts = []
    if ours["mean_s"] > theirs["mean_s"]:
        texts.append(f"swap_aware's mean is {ours['mean_s']} s, Computron's {theirs['mean_s']} s")
    for name, own in found.items():
        if own["answered"] != own["requests"] or not own["requests"]:
            texts.append(f"{name}: {own['answered']} of {own['requests']} answered")
        if bool(own["bytes_copied_back"]) != (name == COMPUTRON):
            texts.append(f"{name}: {own['bytes_copied_back']} bytes copied back")
    if ours["requests"] != theirs["requests"]:
        texts.append(f"{ours['requests']} and {theirs['requests']} requests")
    return texts


def check() -> list[str]:
    """What went wrong, or contradicts in each of several tries."""
    texts: list[str] = []
    for _ in range(1 + AGAIN):
        rows = live.Rows(None, SMALL, False)
        jobs = live.plan([CASE], [SWAP_AWARE, COMPUTRON])
        missing = live.measure(SMALL, jobs, rows, SECONDS, 1e9)
        if missing:
            return missing
        texts = wrong(rows.rows)
        if not texts:
            break
    return texts
