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


def last_cold(events: list[traces.Event]) -> tuple[Span, Span]:
    """The last load that a batch was queued behind, and that batch."""
    loads: dict[int, list[traces.Event]] = {}
    batches: dict[int, list[traces.Event]] = {}
    for event in events:
        entry = event["args"]["entry"]
        if event["tid"] == traces.LOADS:
            loads.setdefault(entry, []).append(event)
        elif event["tid"] == traces.COMPUTE and event["name"].startswith("batch"):
            batches.setdefault(entry, []).append(event)
    for entry in sorted(loads, reverse=True):
        if entry + 1 in batches and span(batches[entry + 1])[0] < span(loads[entry])[1]:
            return span(loads[entry]), span(batches[entry + 1])
    raise SystemExit("the trace has no cold request")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("title")
    options = parser.parse_args()
    events = traces.read(options.trace)
    load, batch = last_cold(events)
    space = 0.04 * (batch[1] - load[0])
    window = (load[0] - space, batch[1] + 3 * space)
    marks = {"first token": batch[1], "load ends": load[1]}
    shown = [e for e in events if e["ts"] >= load[0] - space and e["ts"] < batch[1]]
    timeline.draw(shown, options.picture, options.title, window, marks)
    print(f"load {(load[1] - load[0]) / 1e3:.2f} ms, "
          f"first token {(batch[1] - load[1]) / 1e3:.2f} ms after its end")  # fmt: skip
    for rank in sorted({e["pid"] for e in shown}):
        mine = [e for e in shown if e["pid"] == rank]
        ends = span([e for e in mine if e["tid"] == traces.LOADS])
        computes = [e for e in mine if e["tid"] == traces.COMPUTE]
        works = span([e for e in computes if e["name"].startswith("batch")])
        waits = [e for e in computes if e["name"].startswith("wait")]
        waited = sum(e["dur"] for e in waits) / 1e3
        print(f"rank {rank}: chunks {(ends[0] - load[0]) / 1e3:.2f} to "
              f"{(ends[1] - load[0]) / 1e3:.2f} ms, batch {(works[0] - load[0]) / 1e3:.2f} to "
              f"{(works[1] - load[0]) / 1e3:.2f} ms, of it {waited:.2f} in {len(waits)} waits")  # fmt: skip


if __name__ == "__main__":
    main()
