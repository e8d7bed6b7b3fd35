"""swap_aware against lru on machines and workloads that nobody chose: all is drawn from a number.

PYTHONPATH=rpc/python:. .venv/bin/python experiments/ablation/patterns.py [--cases 0..30] [--seeds 2]
    [--swapsim build/.../swapsim]

A line for each case in which mean or p99 is worse than lru's by 0.1% or more.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows import DEVICES, PROFILES, ROOT
from table import mean

from experiments.simulation import Run, default_program, simulate_all
from swapserve.load.report import percentile

GIB = {"opt-125m": 0.24, "opt-1.3b": 2.5, "opt-2.7b": 5, "opt-6.7b": 12.5, "opt-13b": 24, "opt-30b": 56}
LINK_GIB_PER_S = {"H200": 46.0, "A100": 13.0}
POLICIES = ("lru", "swap_aware")


@dataclass(frozen=True)
class Case:
    name: str
    config: dict[str, Any]
    workload: dict[str, Any]


def stream(draw: random.Random, models: int, rate: float) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "gamma": {"rate": [rate / models] * models, "cv": draw.choice([0, 0.25, 1, 4])},
        "zipf": {"rate": rate, "skew": draw.choice([0.5, 1, 1.5]), "cv": draw.choice([1, 4])},
        "cyclic": {"rate": rate, "cv": draw.choice([0, 0.25, 1])},
        "mmpp": {"rates": [rate / models / 10, rate / models * 4], "dwell": ["10s", "2s"]},
        "turns": {"clients": draw.choice([1, 2, 4]), "think": draw.choice(["0", "50ms", "500ms"])},
    }
    kind = draw.choice(list(kinds))
    return {kind: kinds[kind]}


def case(number: int) -> Case:
    draw = random.Random(number)
    profile = draw.choice(list(PROFILES))
    tp, pp = draw.choice([(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)])
    shape = draw.choice(list(GIB))
    models = draw.choice([3, 4, 5, 6, 8, 12, 20, 50])
    room = min(models - 1, max(1, round(models * draw.choice([0.2, 0.35, 0.5, 0.67, 0.8, 0.9]))))
    prompt, output = draw.choice([8, 64, 256]), draw.choice([1, 1, 8, 20, 60])
    shard = GIB[shape] / (tp * pp)
    # Of the time that the links would move, if each request missed as often as its model has no room.
    busy = draw.choice([0.1, 0.3, 0.6, 1.0])
    load_s = shard / LINK_GIB_PER_S[profile] + 0.002
    rate = min(busy / load_s / max(1 - room / models, 0.2), 400 if output == 1 else 60)
    arrivals = stream(draw, models, rate)
    return Case(
        f"{number}: {profile} ({tp},{pp}) {shape}, {models} on {room}, {prompt}+{output} tokens, "
        + json.dumps(arrivals)[:60],
        {
            "group": {"tp": tp, "pp": pp},
            "device": {"kind": "cuda", "pool": f"{room * shard * 1.06 + 0.5:.3f}GiB", **DEVICES[profile]},
            "profile": str(ROOT / "configs" / "profiles" / f"{PROFILES[profile]}.yaml"),
            "limits": {"requests": 100000, "slots": 256, "batch": 32, "step_tokens": 2048},
            "models": [
                {"name": "m", "synthetic": shape, "count": models, "context": max(64, prompt + output)}
            ],
        },
        {
            "requests": 600,
            "prompt": {"tokens": prompt},
            "output": {"tokens": output},
            "streams": [arrivals],
        },
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swapsim", type=Path, default=default_program())
    parser.add_argument("--cases", default="0..30", help="the second is not played")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    return parser.parse_args()


def main() -> None:
    args = parse()
    first, end = map(int, args.cases.split(".."))
    cases = [case(number) for number in range(first, end)]
    runs = [
        Run({**each.config, "policy": policy}, each.workload, seed)
        for each in cases
        for policy in POLICIES
        for seed in range(1, args.seeds + 1)
    ]
    results = simulate_all(args.swapsim, runs, args.workers)
    means, p99s = [], []
    for each in cases:
        of: dict[str, list[float]] = {}
        for policy in POLICIES:
            of[policy] = sorted(x for _ in range(args.seeds) for x in next(results).latencies)
        means.append(mean(of["swap_aware"]) / mean(of["lru"]))
        p99s.append(percentile(of["swap_aware"], 0.99) / percentile(of["lru"], 0.99))
        if max(means[-1], p99s[-1]) >= 1.001:
            print(f"mean {means[-1]:.3f}, p99 {p99s[-1]:.3f} of lru's: {each.name}", flush=True)
    for name, shares in (("mean", means), ("p99", p99s)):
        worse = [share for share in shares if share >= 1.001]
        centre, most = math.exp(mean([math.log(share) for share in shares])), max(shares)
        print(f"{name}: {centre:.3f} of lru's, worse in {len(worse)} of {len(shares)}, at most {most:.3f}")


if __name__ == "__main__":
    main()
