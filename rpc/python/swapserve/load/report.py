"""What a run gave: percentiles, a summary for programs and one for people, a line for each request."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import Counter, defaultdict
from typing import Any, Dict, List, Optional, Sequence

from swapserve import Status

from .arrivals import Arrival, Path
from .driver import Outcome, Run

REQUEST_COLUMNS = [
    "arrival_s", "model", "prompt_tokens", "output_tokens", "class", "first_s", "end_s", "reason",
]  # fmt: skip
TOKEN_COLUMNS = ["time_s", "model", "gap_s"]
LATE = 0.1  # of the median latency: beyond it, lateness of ours is a part of what is reported
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least value that at least SHARE of all ORDERED values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def spread(values: Sequence[float]) -> Dict[str, Optional[float]]:
    """How many VALUES, their mean, percentiles and largest; None where there are none."""
    found: Dict[str, Optional[float]] = dict.fromkeys(["count", "mean", *SHARES, "max"], None)
    found["count"] = len(values)
    if not values:
        return found
    ordered = sorted(values)
    found["mean"] = statistics.fmean(ordered)
    for name, share in SHARES.items():
        found[name] = percentile(ordered, share)
    found["max"] = ordered[-1]
    return found


def rates(arrivals: Sequence[Arrival], seconds: float) -> Dict[str, Dict[str, Any]]:
    """Per model: how many arrived, their rate, and the coefficient of variation of their gaps."""
    times: Dict[str, List[float]] = defaultdict(list)
    for item in arrivals:
        times[item.model].append(item.time_s)
    found: Dict[str, Dict[str, Any]] = {}
    for model, mine in sorted(times.items()):
        gaps = [after - before for before, after in zip(mine, mine[1:])]
        mean = statistics.fmean(gaps) if gaps else 0.0
        found[model] = {"requests": len(mine), "rate": len(mine) / seconds if seconds else 0.0}
        found[model]["cv"] = statistics.pstdev(gaps) / mean if mean > 0 else None
    return found


def attainment(outcomes: Sequence[Outcome], slo_s: float) -> Optional[float]:
    """The share of all requests that were answered within SLO_S; a refused one was not. None
    without requests."""
    good = sum(1 for item in outcomes if item.answered and (item.latency_s or 0.0) <= slo_s)
    return good / len(outcomes) if outcomes else None


def describe_models(outcomes: Sequence[Outcome], duration_s: float) -> List[Dict[str, Any]]:
    latencies: Dict[str, List[float]] = defaultdict(list)
    for item in outcomes:
        if item.answered and item.latency_s is not None:
            latencies[item.arrival.model].append(item.latency_s)
    arrivals = sorted((item.arrival for item in outcomes), key=lambda one: one.at_ns)
    return [
        {"name": name, **row, "mean_latency_s": spread(latencies[name])["mean"]}
        for name, row in rates(arrivals, duration_s).items()
    ]


def count_loads(before: Status, after: Optional[Status]) -> Dict[str, Any]:
    """What the server did from BEFORE to AFTER; None where it is gone, and its counts with it."""
    names = ["loads", "guesses", "drops", "bytes_loaded", "bytes_copied_back"]
    if after is None:
        return dict.fromkeys([*names, "load_s", "hidden_share"])
    found = {name: getattr(after, name) - getattr(before, name) for name in names}
    load_ns = after.load_ns - before.load_ns
    hidden_ns = after.hidden_ns - before.hidden_ns
    return {**found, "load_s": load_ns / 1e9, "hidden_share": hidden_ns / load_ns if load_ns else None}


def summarise(run: Run, duration_s: float, slo_s: Optional[float] = None) -> Dict[str, Any]:
    """The summary of RUN, whose arrivals were spread over DURATION_S. What swapsim's summary has too
    is called the same."""
    done = [item for item in run.outcomes if item.answered]
    tokens = sum(item.tokens for item in run.outcomes)
    made: Dict[str, Any] = {
        "requests": len(run.outcomes),
        "answered": len(done),
        "cold": sum(1 for item in done if item.cold),
        "ended": dict(Counter(item.reason for item in done)),
        "refused": dict(Counter(item.reason for item in run.outcomes if not item.answered)),
        "cut": run.cut,
        "duration_s": duration_s,
        "end_s": run.seconds,
        "latency_s": spread([item.latency_s for item in done if item.latency_s is not None]),
        "first_token_s": spread(
            [item.first_token_s for item in done if item.first_token_s is not None]
        ),
        "between_tokens_s": spread([gap for item in done for gap in item.gaps_s]),
        "requests_per_s": len(done) / run.seconds if run.seconds else 0.0,
        "tokens": tokens,
        "tokens_per_s": tokens / run.seconds if run.seconds else 0.0,
        **count_loads(run.before, run.after),
        "sent_late_s": spread([item.late_s for item in run.outcomes]),
        "models": describe_models(run.outcomes, duration_s),
    }
    if slo_s is not None:
        made["slo_s"] = slo_s
        made["slo_attainment"] = attainment(run.outcomes, slo_s)
    return made


def to_json(summary: Dict[str, Any]) -> str:
    return json.dumps(summary, indent=1)


def write_summary(path: Path, summary: Dict[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(to_json(summary) + "\n")


def write_requests(path: Path, outcomes: Sequence[Outcome]) -> None:
    """One line for each request, in order of arrival; no time where there was none."""

    def seconds(value: Optional[float]) -> str:
        return "" if value is None else f"{value:.9f}"

    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(REQUEST_COLUMNS)
        for item in sorted(outcomes, key=lambda one: one.arrival.time_s):
            arrival = item.arrival
            rows.writerow(
                [
                    seconds(arrival.time_s), arrival.model, arrival.prompt_tokens,
                    arrival.output_tokens, arrival.request_class, seconds(item.first_s),
                    seconds(item.end_s), item.reason,
                ]
            )  # fmt: skip


def write_tokens(path: Path, outcomes: Sequence[Outcome]) -> None:
    """One line for each token of a stream, in order of time; a first one has no gap."""
    found = []
    for item in outcomes:
        for time, gap in zip(item.tokens_s, ["", *(f"{gap:.9f}" for gap in item.gaps_s)]):
            found.append((time, item.arrival.model, gap))
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(TOKEN_COLUMNS)
        rows.writerows((f"{time:.9f}", model, gap) for time, model, gap in sorted(found))


def is_late(summary: Dict[str, Any]) -> bool:
    """Whether requests were sent so late that latencies say something of the load generator too."""
    late, median = summary["sent_late_s"]["p99"], summary["latency_s"]["p50"]
    return late is not None and median is not None and late > LATE * median


def show(value: Optional[float], form: str, factor: float = 1.0) -> str:
    """VALUE times FACTOR for people; "-" where there is none."""
    return "-" if value is None else form.format(value * factor)


def describe(summary: Dict[str, Any]) -> str:
    """The summary for people, in lines."""
    lines = [
        f"{summary['requests']} requests in {summary['end_s']:.2f} s, "
        f"{summary['answered']} answered, {summary['requests_per_s']:.2f} a second, "
        f"{summary['tokens_per_s']:.1f} tokens a second"
    ]
    for reason, count in sorted(summary["refused"].items()):
        lines.append(f"  {count} ended with {reason}")
    if summary["cut"]:
        lines.append(f"  {summary['cut']} more were on their way when it was interrupted")
    lines.append(f"{'ms':>14} " + "".join(f"{name:>10}" for name in ["mean", *SHARES, "max"]))
    for name, key in (
        ("latency", "latency_s"), ("first token", "first_token_s"),
        ("between", "between_tokens_s"),
    ):  # fmt: skip
        values = summary[key]
        cells = [show(values[part], "{:.1f}", 1e3) for part in ("mean", *SHARES, "max")]
        lines.append(f"{name:>14} " + "".join(f"{cell:>10}" for cell in cells))
    loads = "the server is gone: its counts are missing"
    if summary["loads"] is not None:
        loads = (
            f"{summary['loads']} loads and {summary['guesses']} guesses, {summary['bytes_loaded'] / 1e9:.3f} GB, "
            f"{show(summary['hidden_share'], '{:.1%}')} of their time hidden"
        )
    lines.append(f"{loads}; {summary['cold']} requests came cold")
    late = summary["sent_late_s"]
    if late["count"]:
        lines.append(f"sent at most {late['max'] * 1e3:.1f} ms late (p99 {late['p99'] * 1e3:.1f})")
    if is_late(summary):
        lines.append(f"  over {LATE:.0%} of the median latency: the load generator was short of processor time")
    if "slo_s" in summary:
        lines.append(f"{show(summary['slo_attainment'], '{:.2%}')} within {summary['slo_s'] * 1e3:g} ms")
    return "\n".join(lines)
