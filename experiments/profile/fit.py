"""From the rows of swapbench and stepbench to the figures of a profile (configs/profiles)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Figures = dict[str, float]  # by the profile's keys; bytes, seconds and operations

CONTEXT = 512  # of stepbench's decode steps
PROMPT = 512  # of the sequences of its prefills
WEIGHT_BYTES = 2  # an element's
VOCABULARY = 50272
STEPS = (
    "first token of 8, resident",
    "prefill 1 x 512",
    "prefill 8 x 512",
    "decode, batch 1, context 512",
    "decode, batch 32, context 512",
)
LINK_BOUND = 0.95  # of all links' rates: above it, they and not the host's memory are the limit

# hidden, embedding, ffn
SHAPES = {
    "opt-125m": (768, 768, 3072),
    "opt-350m": (1024, 512, 4096),
    "opt-1.3b": (2048, 2048, 8192),
    "opt-13b": (5120, 5120, 20480),
}
LAYERS = {"opt-125m": 12, "opt-350m": 24, "opt-1.3b": 24, "opt-13b": 40}


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Intercept and slope of y over x, with the least squares of relative errors: the small ones
    count too."""
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    x_mean = sum(w * x for w, (x, _) in zip(weights, points)) / total
    y_mean = sum(w * y for w, (_, y) in zip(weights, points)) / total
    over = sum(w * (x - x_mean) * (y - y_mean) for w, (x, y) in zip(weights, points))
    slope = over / sum(w * (x - x_mean) ** 2 for w, (x, _) in zip(weights, points))
    return y_mean - slope * x_mean, slope


def value(rows: Rows, what: str) -> float:
    found = [float(row["value"]) for row in rows if row["what"] == what]
    if not found:
        raise ValueError(f"no row {what!r}; there are {[row['what'] for row in rows]}")
    return median(found)


def matching(rows: Rows, pattern: str) -> list[tuple[int, float]]:
    """(the number that PATTERN finds, value) of each row that it matches."""
    found = []
    for row in rows:
        match = re.fullmatch(pattern, str(row["what"]))
        if match:
            found.append((int(match.group(1)), float(row["value"])))
    return found


def seconds_of(row: Mapping[str, Any]) -> float:
    """Of one copy on each of the row's ranks."""
    return float(row["copy_bytes"] * row["ranks"] / (row["gb_per_s_total"] * 1e9))


def fit_link(rows: Rows) -> Figures:
    """Alone: a copy takes a gap, and its bytes at the link's rate (of copies up to four pieces: of
    larger ones there are few in a run, and the last one's end weighs). All together: the rate that
    is left when the gap is taken away. The totals say what the host's memory gives, of which copies
    both ways take their shares together; where it was the links that set them, what each way has while
    copies go on the other way says how much more the memory has. The same says which way gets more."""
    most_bytes = 4 * rows[-1]["copy_bytes"]
    alone = [
        row
        for row in rows
        if (row["direction"], row["ranks"]) == ("to_device", 1) and row["copy_bytes"] <= most_bytes
    ]
    gap, slope = line([(float(row["copy_bytes"]), seconds_of(row)) for row in alone])
    gap = max(gap, 0.0)
    most = max(row["ranks"] for row in rows)

    def rate(direction: str, ranks: int) -> float:
        of = [row for row in rows if row["direction"] == direction and row["ranks"] == ranks][-1]
        return float(of["copy_bytes"] * ranks / (seconds_of(of) - gap))

    each = {"to_device": 1 / slope, "to_host": rate("to_host", 1)}
    total = {direction: rate(direction, most) for direction in each}

    def rates_beside(ranks: int) -> dict[str, float]:
        if any(row["direction"] == "to_host_beside" for row in rows):
            return {direction: rate(direction + "_beside", ranks) for direction in each}
        return dict.fromkeys(each, rate("both", ranks) / 2)  # as was measured at first

    beside = {ranks: rates_beside(ranks) for ranks in (1, most)}
    share = sum(beside[most][direction] / of for direction, of in total.items())
    for direction, of in total.items():
        if of > LINK_BOUND * most * each[direction]:
            total[direction] *= max(1.0, share)
    return {
        "link.alone": each["to_device"],
        "link.total": total["to_device"],
        "link.to_host": each["to_host"],
        "link.to_host_total": total["to_host"],
        "link.both": sum(beside[1].values()),
        "link.to_host_share": max(1.0, beside[most]["to_host"] / beside[most]["to_device"]),
        "link.piece_gap": gap,
    }


def fit_steps(few: Rows, more: Rows, activation_bytes: int, full_s: float | None) -> Figures:
    """From steps of the same shape with few layers and with more, on one rank: what they differ by
    is layers, the rest belongs to the step. Weights are read at the rate of products of one row.
    FULL_S: decode of one row through all layers, where that was measured; then it says what a layer
    takes."""
    hidden, embedding, ffn = SHAPES[str(more[0]["model"])]
    products = 4 * hidden**2 + 2 * hidden * ffn  # elements of a layer
    layers = [value(rows, "layers of stage 0") for rows in (few, more)]

    def per_layer(what: str) -> float:
        return (value(more, what) - value(few, what)) / (layers[1] - layers[0])

    ones = sorted(matching(more, r"product of 1 x (\d+) x \d+"))
    # Of the two largest: smaller ones may be read from a cache.
    _, per_byte = line([(WEIGHT_BYTES * side**2, seconds) for side, seconds in ones[-2:]])
    one, many = "decode, batch 1, context 512", "decode, batch 32, context 512"
    kv_bytes = CONTEXT * 2 * hidden * activation_bytes
    context = (per_layer(many) - per_layer(one)) / (31 * kv_bytes)
    layer = per_layer(one)
    if full_s is not None:
        layer = (full_s - value(few, one)) / (LAYERS[str(few[0]["model"])] - layers[0])
    overhead = layer - WEIGHT_BYTES * products * per_byte - kv_bytes * context
    in_prefill = overhead - layer + per_layer(one)  # of layers as few as these
    prefill = per_layer("prefill 8 x 512") - in_prefill - 8 * kv_bytes * context
    head = WEIGHT_BYTES * VOCABULARY * embedding * per_byte
    return {
        "compute.memory_bandwidth": 1 / per_byte,
        "compute.context_bandwidth": 1 / context,
        "compute.flops": 2.0 * 8 * PROMPT * products / prefill,
        "compute.layer_overhead": max(0.0, overhead),
        "compute.step_overhead": max(0.0, value(few, one) - layers[0] * layer - head),
    }


def fit_sums(rows: Rows, of: Figures) -> Figures:
    """A sum over the tensor-parallel ranks: a latency, and its bytes at a rate. In a step the ranks
    wait for each other, which sums back to back do not show: the latency is at least what a first
    token takes longer than its share OF the bytes on one rank says."""
    points = [(float(size), seconds) for size, seconds in matching(rows, r"sum of (\d+) bytes")]
    latency, slope = line(points)
    hidden, embedding, ffn = SHAPES[str(rows[0]["model"])]
    layers, tp = value(rows, "layers of stage 0"), rows[0]["tp"]
    elements = layers * (4 * hidden**2 + 2 * hidden * ffn) + VOCABULARY * embedding
    alone = of["compute.step_overhead"] + layers * of["compute.layer_overhead"]
    alone += WEIGHT_BYTES * elements / tp / of["compute.memory_bandwidth"]
    longer = (value(rows, "first token of 8, resident") - alone) / (2 * layers + 1)
    found = {"collective.latency": max(latency, longer, 0.0)}
    if slope > 0:
        found["collective.bandwidth"] = 1 / slope
    return found


def fit_edges(one: Rows, stages: Rows, messages: Rows, step_overhead: float) -> Figures:
    """Activations: what steps take longer over several stages, less the step's own overhead on each
    further one; the median of all kinds of steps, as one that finds the ranks idle pays more than
    one that follows another. Entries meet a rank that works, reports one that sleeps."""
    pp = round(max(row["pp"] for row in stages))
    hops = [(value(stages, what) - value(one, what)) / (pp - 1) for what in STEPS]
    return {
        "edge.entry": value(messages, "message to a busy rank"),
        "edge.activation": max(median(hops) - step_overhead, 0.0),
        "edge.report": value(messages, "message to a sleeping rank"),
    }


def fit(rows: Mapping[str, Rows], activation_bytes: int) -> Figures:
    """All that ROWS (by the names of measure.read()) tell."""
    full_s = rows["busy-1x1"][0]["gap_alone_p50_s"] if "busy-1x1" in rows else None
    found = fit_link(rows["link"])
    found |= fit_steps(rows["1x1-few"], rows["1x1-more"], activation_bytes, full_s)
    if "tp" in rows:
        found |= fit_sums(rows["tp"], found)
    if "pp" in rows:
        messages = [*rows["pp"], *rows.get("tp", [])]
        overhead = found["compute.step_overhead"]
        found |= fit_edges(rows["1x1-few"], rows["pp"], messages, overhead)
    return found
