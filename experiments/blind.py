"""A second bound: the least mean latency, in expectation, of a scheduler that knows every rate but not
the future.

What of a model is not in the pool when a request for it comes must still be loaded, which takes its
part of the load's time less what hides behind the request's own prefill. A scheduler chooses what is
in without knowing when requests come; so the expected sum of these waits is at least the integral
over time of the least sum, over all ways to fill the pool, of each model's rate of arrival at that
moment (given all past arrivals) times what such a request would wait. The least way is to hold, of the
models most likely asked next, as much as does not hide, and of the next one what still fits. Queueing
for links and stages, and the time that loads take, are let go; so it is a bound, and a loose one under
load.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

STEP_S = 0.005


@dataclass(frozen=True)
class Case:
    """What the scheduler knows."""

    streams: Sequence[Mapping[str, Any]]  # as a workload file has them; the first one counts
    seconds: float
    models: int  # m-0, m-1, ...
    room: float  # models whose weights the pool holds


def gamma_tail(shape: float, x: float) -> float:
    """The chance that a gamma variable of SHAPE and scale 1 exceeds X."""
    if x <= 0:
        return 1.0
    scale = math.exp(-x + shape * math.log(x) - math.lgamma(shape))
    if x < shape + 1:  # its series (Abramowitz and Stegun 6.5.29)
        term = total = 1 / shape
        n = shape
        while term > total * 1e-15:
            n += 1
            term *= x / n
            total += term
        return max(1 - scale * total, 1e-300)
    b, c = x + 1 - shape, 1e300  # its continued fraction (6.5.31), by Lentz's method
    d = h = 1 / b
    for i in range(1, 500):
        a = i * (shape - i)
        b += 2
        d, c = 1 / (a * d + b), b + a / c
        h *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return max(scale * h, 1e-300)


def cumulative_hazard(rate: float, cv: float) -> Callable[[Any], Any]:
    """Of a renewal process with gamma gaps: minus the logarithm of the chance of no arrival yet."""
    if cv == 1:
        return lambda age: rate * age
    shape = 1 / cv**2
    grid = np.concatenate(([0.0], np.geomspace(1e-9, 1e3, 4000)))
    values = np.array([-math.log(gamma_tail(shape, shape * rate * t)) for t in grid])
    return lambda age: np.interp(age, grid, values)


def least_wait(masses: Any, keep: float, room: float) -> Any:
    """Per line of MASSES (models' chances), the least sum of chance times what is missing, where
    KEEP of each model is enough and ROOM models fit."""
    models = masses.shape[1]
    missing = np.clip(keep * np.arange(1, models + 1) - room, 0, keep)
    return np.sort(masses, axis=1)[:, ::-1] @ missing


def waits(case: Case, arrivals: Sequence[tuple[float, str]], keep: float) -> float:
    """The bound's sum of missing shares over one run; nan where the arrivals can be foreseen."""
    stream, until, room = case.streams[0], case.seconds, case.room
    if "cyclic" in stream:
        return math.nan
    if "mmpp" in stream:
        low, high = stream["mmpp"]["rates"]
        stay = [float(text.removesuffix("s")) for text in stream["mmpp"]["dwell"]]
        busy = stay[1] / sum(stay)
        total = 0.0
        for states in itertools.product((0, 1), repeat=case.models):  # known to the scheduler
            chance = math.prod(busy if state else 1 - busy for state in states)
            rates = np.array([[high if state else low for state in states]])
            total += chance * float(least_wait(rates, keep, room)[0])
        return total * until
    if "zipf" in stream or "trace" in stream:
        skew = stream["zipf" if "zipf" in stream else "trace"].get("skew", 0.0)
        shares = np.arange(1, case.models + 1, dtype=float) ** -skew
        each = float(least_wait(shares[None, :] / shares.sum(), keep, room)[0])
        # Of a trace the scheduler may know all times; for which models they are, it cannot.
        return each * (stream["zipf"]["rate"] * until if "zipf" in stream else len(arrivals))
    edges = np.union1d(np.arange(0, until, STEP_S), [at for at, _ in arrivals])
    edges = np.append(edges[edges < until], until)
    masses = np.empty((len(edges) - 1, case.models))
    for model, rate in enumerate(stream["gamma"]["rate"]):
        own = np.array([0.0] + sorted(at for at, name in arrivals if name == f"m-{model}"))
        since = own[np.searchsorted(own, edges[:-1], side="right") - 1]
        hazard = cumulative_hazard(rate, stream["gamma"]["cv"])
        masses[:, model] = hazard(edges[1:] - since) - hazard(edges[:-1] - since)
    return float(least_wait(masses, keep, room).sum())


def blind_sum(
    case: Case, arrivals: Sequence[tuple[float, str]], bound: Mapping[str, float]
) -> float:
    """The least expected sum of latencies of a run; BOUND: swapsim's, of the same arrivals."""
    load, count = bound["load_mean_s"], len(arrivals)
    hidden = bound["first_mean_s"] - bound["loads_mean_s"]
    missing = waits(case, arrivals, max(0.0, 1 - hidden / load))
    if math.isnan(missing):
        return bound["mean_s"] * count
    return max(bound["mean_s"] * count, bound["warm_mean_s"] * count + load * missing)
