"""The load generator makes the arrivals that swapsim makes, from every workload that is shipped."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.server import ROOT, default_build
from serving import expect, expect_equal, main
from swapserve.load import process, workload
from swapserve.load.arrivals import Arrival, read

SWAPSIM = default_build() / "engine" / "swapsim" / "swapsim"
WORKLOADS = sorted((ROOT / "configs" / "workloads").glob("*.yaml"))
COMPARED = 3000  # arrivals, of long workloads
# What no shipped workload has: windows, patterns, a state without arrivals, rates by model.
OTHER = """\
duration: 60s
prompt: {median: 20, sigma: 0.5, max: 60}
output: {tokens: 2}
streams:
  - {models: [m-1, m-2], gamma: {rate: [2, 1], cv: 0.25}, output: {median: 3, sigma: 1, max: 9}}
  - {models: "m*", mmpp: {rates: [0, 8, 2], dwell: [1s, 500ms, 2s]}, class: batch}
  - {models: m-3, poisson: {rate: 1.5}, from: 10s, until: 20.5s, class: realtime}
  - {cyclic: {rate: 3, cv: 2}}
  - {zipf: {rate: 2, skew: 0.7, cv: 4}}
  - {models: [m-3, m-1], trace: {csv: trace.csv, skew: 1.2, speed: 1.5}, prompt: {max: 100}}
"""
TRACE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 23:59:46.6805900,374,44
2023-11-16 23:59:50.9951690,48,10
2023-11-17 00:00:00.5,3180,8
2023-11-17 00:00:11,0,0
2023-11-17 00:00:41.123456789,1,5
"""


def config_for(path: Path, folder: Path) -> tuple[Path, int]:
    """A config with as many models as the workload is for, small so that they are quickly done."""
    counts = {"zipf-50": 50, "million": 100}
    streams = workload.read(path).streams
    count = max([counts.get(path.stem, 3), *(len(stream.rates) for stream in streams)])
    content: dict[str, Any] = {
        "profile": str(ROOT / "configs" / "profiles" / "h200-x4.yaml"),
        "device": {"kind": "cuda", "pool": "16GiB"},
        "limits": {"requests": 100000},
        "models": [{"name": f"m-{i + 1}", "synthetic": "opt-125m"} for i in range(count)],
    }
    made = folder / "config.yaml"
    made.write_text(json.dumps(content))
    return made, count


def simulated(path: Path, folder: Path, seed: int, *options: str) -> tuple[list[Arrival], int]:
    config, count = config_for(path, folder)
    out = folder / "simulated.csv"
    command = [SWAPSIM, "--quiet", "--config", config, "--workload", path, "--seed", str(seed)]
    command += ["--save-arrivals", out, *options]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=200
    )  # fmt: skip
    expect_equal(done.returncode, 0, f"swapsim on {path}:\n{done.stdout}{done.stderr}")
    return read(out), count


def compare(path: Path, folder: Path, seed: int) -> int:
    content = workload.read(path)
    if content.closed:
        return 0  # depends on answers; the models' turn is compared below
    if content.requests > COMPARED:  # the same, but fewer
        text = path.read_text().replace(f"requests: {content.requests}", f"requests: {COMPARED}")
        path = folder / path.name
        path.write_text(text)
    theirs, count = simulated(path, folder, seed)
    source = process.Arrivals(workload.read(path), [f"m-{i + 1}" for i in range(count)], seed)
    mine = list(itertools.islice(iter(source.next, None), len(theirs) + 1))
    expect_equal(len(mine), len(theirs), f"arrivals of {path.name}, seed {seed}")
    for index, (one, other) in enumerate(zip(mine, theirs)):
        same = (one.at_ns, one.model, one.prompt_tokens, one.output_tokens, one.request_class)
        wanted = (
            other.at_ns, other.model, other.prompt_tokens, other.output_tokens,
            other.request_class,
        )  # fmt: skip
        expect_equal(same, wanted, f"arrival {index} of {path.name}, seed {seed}")
    return len(mine)


def test_shipped() -> None:
    expect(len(WORKLOADS) > 5, f"workloads: {WORKLOADS}")
    with tempfile.TemporaryDirectory() as name:
        for path in WORKLOADS:
            for seed in (1, 20261121):
                print(f"  {path.name}: {compare(path, Path(name), seed)} arrivals", flush=True)


def test_every_kind() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "trace.csv").write_text(TRACE)
        (folder / "other.yaml").write_text(OTHER)
        expect(compare(folder / "other.yaml", folder, 3) > 300, "few arrivals")
        replay = "streams:\n  - {replay: {csv: simulated.csv}}\n"
        (folder / "replay.yaml").write_text(replay)
        copy = (folder / "simulated.csv").read_text()
        (folder / "kept.csv").write_text(copy)
        (folder / "replay.yaml").write_text(replay.replace("simulated", "kept"))
        compare(folder / "replay.yaml", folder, 3)
        expect_equal((folder / "simulated.csv").read_text(), copy, "a replay's arrivals")


def test_scaled() -> None:
    """Another rate and burstiness, by the options of both programs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = ROOT / "configs" / "workloads" / "computron-1-1-1.yaml"
        changes = ["--rate", "1.5", "--cv", "4", "--duration", "40"]
        theirs, _ = simulated(path, folder, 5, *changes)
        mine = folder / "mine.csv"
        command = [sys.executable, "-m", "swapserve.load", "--workload", path, "--seed", 5]
        command += [*changes, "--dry-run", "m-1,m-2,m-3", "--save-arrivals", mine]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, timeout=60)
        with mine.open() as one, (folder / "simulated.csv").open() as other:
            expect_equal(list(csv.reader(one)), list(csv.reader(other)), "the lists")
        expect(len(theirs) > 20, f"{len(theirs)} arrivals")


if __name__ == "__main__":
    main(test_shipped, test_every_kind, test_scaled)
