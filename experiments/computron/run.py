"""Computron's published figures against its emulation on the A100 profile.

    PYTHONPATH=. .venv/bin/python experiments/computron/run.py --out experiments/computron
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from published import CVS, MEANS, RESPONSES

from experiments import results

ROOT = Path(__file__).resolve().parents[2]
CONFIGS, WORKLOADS = ROOT / "configs" / "sim", ROOT / "configs" / "workloads"
RESPONSE_OFF_MAX = 0.2


def default_program() -> Path:
    build = Path(os.environ.get("SWAPSERVE_BUILD", ROOT / "build" / "release"))
    return build.resolve() / "engine" / "swapsim" / "swapsim"


def simulate(program: Path, config: str, workload: str, *options: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="swapsim-") as folder:
        command = [str(program), "--config", str(CONFIGS / f"{config}.yaml"), "--quiet"]
        command += ["--workload", str(WORKLOADS / f"{workload}.yaml"), "--out", folder, *options]
        subprocess.run(command, check=True)
        found: dict[str, Any] = json.loads(Path(folder, "summary.json").read_text("utf-8"))
        return found


def turns(program: Path) -> list[dict[str, Any]]:
    """Round robin of two models, one of them in, in six layouts."""
    rows = []
    for (tp, pp), published in RESPONSES.items():
        found = simulate(program, f"computron-turns-{tp}x{pp}", "turns")
        response = found["latency_s"]["mean"]
        rows.append(
            {
                "tp": tp,
                "pp": pp,
                "published_s": published,
                "response_s": round(response, 4),
                "off": round(response / published - 1, 4),
            }
        )
    return rows


def mean_of(program: Path, rates: Sequence[int], cv: float, seed: int) -> tuple[float, float]:
    """Mean latency, and requests a second that really came."""
    workload = "computron-" + "-".join(map(str, rates))
    options = ("--cv", str(cv), "--seed", str(seed))
    found = simulate(program, f"computron-{len(rates)}", workload, *options)
    return found["latency_s"]["mean"], found["requests"] / 30


def workloads(program: Path, seeds: int, workers: int) -> list[dict[str, Any]]:
    rows = []
    with ThreadPoolExecutor(workers) as pool:
        for rates, means in MEANS.items():
            for cv, published in zip(CVS, means, strict=True):
                found = list(
                    pool.map(
                        lambda seed, r=rates, c=cv: mean_of(program, r, c, seed),
                        range(1, seeds + 1),
                    )
                )
                ours, came = sorted(m for m, _ in found), sorted(r for _, r in found)
                low, high = ours[seeds * 5 // 100], ours[min(seeds - 1, seeds * 95 // 100)]
                rows.append(
                    {
                        "rates": list(rates),
                        "cv": cv,
                        "published_s": published,
                        "mean_s": round(sum(ours) / seeds, 4),
                        "p5_s": round(low, 4),
                        "p95_s": round(high, 4),
                        "inside": low <= published <= high,
                        "below": round(sum(m < published for m in ours) / seeds, 3),
                        "rate_p5": round(came[seeds * 5 // 100], 2),
                        "rate_p95": round(came[min(seeds - 1, seeds * 95 // 100)], 2),
                    }
                )
                print(rows[-1], flush=True)
    return rows


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    from experiments.plot.look import colour, plt

    figure, axes = plt.subplots(figsize=(6.8, 4.6), layout="constrained")
    names = [f"({','.join(map(str, row['rates']))}) CV {row['cv']:g}" for row in rows]
    at = range(len(rows), 0, -1)
    axes.hlines(
        at,
        [row["p5_s"] for row in rows],
        [row["p95_s"] for row in rows],
        color=colour(0),
        linewidth=5,
        alpha=0.45,
        label="emulation, 5 to 95% of seeds",
    )
    axes.plot([row["mean_s"] for row in rows], at, "|", color=colour(0), markersize=9)
    axes.plot(
        [row["published_s"] for row in rows], at, "o", color=colour(1), markersize=5,
        label="published",
    )
    axes.set_yticks(list(at), names)
    axes.set_xlim(left=0)
    axes.set_xlabel("mean latency (s)")
    axes.set_title("Computron's simulated workloads")
    axes.legend(loc=(0.62, 0.6))
    figure.savefig(path)
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--swapsim", type=Path, default=default_program())
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, help="folder for results and picture; none: no files")
    args = parser.parse_args()
    of_turns = turns(args.swapsim)
    for row in of_turns:
        print(row)
    of_workloads = workloads(args.swapsim, args.seeds, args.workers) if args.seeds else []
    worst = max(abs(row["off"]) for row in of_turns)
    inside = sum(row["inside"] for row in of_workloads)
    print(f"responses: worst {worst:.1%} off; workloads: {inside} of {len(of_workloads)} inside")
    if args.out:
        content = {"commit": results.commit(), "seeds": args.seeds, "turns": of_turns, "workloads": of_workloads}
        results.write(args.out / "results.json", content)
        draw(of_workloads, args.out / "workloads.png")
    return 0 if worst <= RESPONSE_OFF_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
