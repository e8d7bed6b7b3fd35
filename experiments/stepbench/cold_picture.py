"""Draws the last cold request of a stepbench trace: every link's chunks, and what computes when.

    python -m experiments.stepbench.cold_picture TRACE PICTURE TITLE
"""

from __future__ import annotations

import argparse
from pathlib import Path

from experiments import traces
from experiments.plot import timeline

Span = tuple[float, float]


def span(events: list[traces.Event]) -> Span:
    return min(e["ts"] for e in events), max(e["ts"] + e["dur"] for e in events)


def last_cold(events: list[traces.Event]) -> list[traces.Event]:
    """The last load that a batch was queued behind, and that batch."""
    kept: dict[int, list[traces.Event]] = {}
    for event in events:
        compute = event["tid"] == traces.COMPUTE
        if compute or event["tid"] == traces.LOADS:
            kept.setdefault(event["args"]["entry"] - compute, []).append(event)
    for entry in sorted(kept, reverse=True):
        load = [event for event in kept[entry] if event["tid"] == traces.LOADS]
        batch = [event for event in kept[entry] if event["tid"] == traces.COMPUTE]
        if load and batch and span(batch)[0] < sum(span(load)) / 2:
            return load + batch
    raise SystemExit("the trace has no cold request")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("title")
    options = parser.parse_args()
    events = last_cold(traces.read(options.trace))
    load = span([e for e in events if e["tid"] == traces.LOADS])
    end = span(events)[1]
    space = 0.04 * (end - load[0])
    marks = {"first token": end, "load ends": load[1]}
    timeline.draw(events, options.picture, options.title, (load[0] - space, end + 3 * space), marks)
    print(f"load {(load[1] - load[0]) / 1e3:.2f} ms, "
          f"first token {(end - load[1]) / 1e3:.2f} ms after its end")  # fmt: skip
    for rank in sorted({e["pid"] for e in events}):
        mine = [e for e in events if e["pid"] == rank]
        arrives = span([e for e in mine if e["tid"] == traces.LOADS])
        works = span([e for e in mine if e["name"].startswith("batch")])
        waited = sum(e["dur"] for e in mine if e["name"].startswith("wait"))
        print(f"rank {rank}: chunks {(arrives[0] - load[0]) / 1e3:.2f} to "
              f"{(arrives[1] - load[0]) / 1e3:.2f} ms, batch {(works[0] - load[0]) / 1e3:.2f} to "
              f"{(works[1] - load[0]) / 1e3:.2f} ms, {waited / 1e3:.2f} waiting")  # fmt: skip


if __name__ == "__main__":
    main()
