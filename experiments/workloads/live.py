"""Some of the 18 on a live server: one start for each scheduler and number of models, the same list of
arrivals for each scheduler; and the same lists in the simulator."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import COMPUTRON, RESIDENT, SWAP_AWARE, Case, Machine

from experiments import results
from experiments.live_and_simulated import Ran, ask, empty, make_arrivals, run_simulated
from experiments.server import Server, ServerError
from swapserve import Error
from swapserve.load import arrivals

HERE = Path(__file__).resolve().parent
LISTS = HERE / "arrivals"
SECONDS = 20.0
# Both sizes, each CV, each set of rates once.
LIVE = [
    Case((1, 1, 1), 0.25), Case((10, 10, 1), 1.0), Case((10, 1, 1), 4.0),
    Case((10, 10, 1, 1, 1, 1), 0.25), Case((10, 10, 10, 10, 1, 1), 1.0),
    Case((1, 1, 1, 1, 1, 1), 4.0),
]  # fmt: skip
RESIDENT_LIVE = LIVE[1:3]  # one start does for them
# Two ranks or fewer would be bound to a core each, with all their threads.
ENVIRON = {"OMPI_MCA_hwloc_base_binding_policy": "none", "NCCL_NVLS_ENABLE": "0"}
START_SECONDS = 180.0
WARM_BATCH = 8  # requests to each model before anything is timed


@dataclass(frozen=True)
class Job:
    """One start of a server, and what is asked of it."""

    variant: str
    cases: tuple[Case, ...]


def plan(cases: Sequence[Case], variants: Sequence[str]) -> list[Job]:
    """The most telling first, as time may run out."""
    jobs = []
    for models in (6, 3):
        own = tuple(case for case in cases if case.models == models)
        jobs += [Job(variant, own) for variant in (SWAP_AWARE, COMPUTRON) if variant in variants]
    if RESIDENT in variants:
        jobs.append(Job(RESIDENT, tuple(case for case in RESIDENT_LIVE if case in cases)))
    return [job for job in jobs if job.cases]


def names(case: Case) -> list[str]:
    return [f"m-{index}" for index in range(case.models)]


def make_lists(folder: Path = LISTS) -> None:
    """A list for each case that runs live: what swapsim and the load generator make of the first
    seed that asks every model half to twice as often as its rate says. In 20 s at CV 4 few do."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        for case in LIVE:
            workload, path = Path(name) / "workload.yaml", folder / f"{case.slug}.csv"
            workload.write_text(json.dumps(case.workload(SECONDS)), encoding="utf-8")
            for seed in itertools.count(1):
                make_arrivals(workload, seed, names(case), path)
                count = Counter(item.model for item in arrivals.read(path))
                asked = [count[model] / SECONDS / rate for model, rate in zip(names(case), case.rates)]
                if 0.5 <= min(asked) and max(asked) <= 2:
                    print(f"{path.name}: seed {seed}, {sum(count.values())} requests")
                    break


def stretch(case: Case, machine: Machine, seconds: float, folder: Path) -> Path:
    """The case's list as MACHINE is asked it: its first SECONDS, so many times slower."""
    made = folder / f"{case.slug}.csv"
    kept = arrivals.shift(arrivals.read(LISTS / made.name), round(seconds * 1e9), 1 / machine.slow)
    arrivals.write(made, kept)
    return made


def describe(ran: Ran) -> dict[str, Any]:
    if not ran.latencies:
        raise RuntimeError(f"of {ran.summary['requests']} requests none was answered")
    made = {f"{key}_s": round(ran.summary["latency_s"][key], 6) for key in ("mean", "p50", "p90", "p99")}
    for key in ("requests", "answered", "loads", "bytes_loaded", "bytes_copied_back"):
        made[key] = ran.summary[key]
    made["hidden_share"] = round(ran.summary["hidden_share"] or 0.0, 4)
    made["latencies_s"] = " ".join(f"{value:.5f}" for value in sorted(ran.latencies))
    return made


def latencies(found: dict[str, Any]) -> list[float]:
    return [float(text) for text in found["latencies_s"].split()]


class Rows:
    """What was measured so far, in a file after each row where there is one."""

    def __init__(self, path: Path | None, machine: Machine, resume: bool) -> None:
        self.path, self.machine = path, machine
        self.rows: list[dict[str, Any]] = []
        if path and resume and path.exists():
            self.rows = json.loads(path.read_text(encoding="utf-8"))["rows"]

    def have(self, case: Case, variant: str) -> bool:
        return any((row["rates"], row["cv"], row["variant"]) == (list(case.rates), case.cv, variant)
                   for row in self.rows)  # fmt: skip

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if self.path:
            content = {"device": device(self.machine), "slow": self.machine.slow, "rows": self.rows}
            results.write(self.path, content)


def device(machine: Machine) -> str:
    if machine.device["kind"] != "cuda":
        return "paced CPU device"
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    cards = done.stdout.split("\n")[:-1]
    return f"{len(cards)}x {cards[0]}" if cards else "unknown"


def warm(server: Server, case: Case, folder: Path) -> None:
    """Each model computes batches, small and large: what is made at first use is made now."""
    made = [arrivals.Arrival(int((index + i / 2) * 2e8), model, 8, 1)
            for index, model in enumerate(names(case))
            for i in [0] + [1] * WARM_BATCH]  # fmt: skip
    arrivals.write(folder / "warm.csv", sorted(made, key=lambda item: item.at_ns))
    ask(server, folder / "warm.csv", folder / "warm")


def serve(job: Job, machine: Machine, rows: Rows, seconds: float, until: float) -> list[str]:
    """All of a JOB that can be over by the time UNTIL; names of what could not."""
    missing = []
    case = job.cases[0]
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        folder, begun = Path(name), time.monotonic()
        with Server(machine.config(case, job.variant), machine.tp * machine.pp, environ=ENVIRON,
                    start_seconds=START_SECONDS) as server:  # fmt: skip
            start_s = round(time.monotonic() - begun, 1)
            print(f"{job.variant}, {case.models} models: ready after {start_s} s", flush=True)
            empty(server, names(case))
            if machine.device["kind"] == "cuda":
                warm(server, case, folder)
            for case in job.cases:
                if rows.have(case, job.variant):
                    continue
                if time.monotonic() + seconds * machine.slow + 2 > until:
                    missing.append(f"{case.name}, {job.variant}: no time left")
                    continue
                empty(server, names(case), touch=False)
                listed = stretch(case, machine, seconds, folder)
                ran = ask(server, listed, folder / case.slug)
                row = {"rates": list(case.rates), "cv": case.cv, "variant": job.variant,
                       "seconds": seconds, "start_s": start_s, "commit": results.commit(),
                       "sent_late_p99_s": round(ran.summary["sent_late_s"]["p99"], 6),
                       "live": describe(ran)}  # fmt: skip
                rows.add(row)
                say(row)
            if server.drain() != 0:
                missing.append(f"{job.variant}, {case.models} models: ended with {server.exit_code}")
    return missing


def say(row: dict[str, Any]) -> None:
    texts = []
    for side in ("live", "simulated"):
        if side in row:
            found = row[side]
            texts.append(f"{side}: mean {found['mean_s'] * 1e3:.1f} ms, p99 {found['p99_s'] * 1e3:.1f}, "
                         f"{found['answered']} of {found['requests']} answered, {found['loads']} loads")
    print(f"({','.join(map(str, row['rates']))}), CV {row['cv']:g}, {row['variant']}:", "; ".join(texts),
          flush=True)  # fmt: skip


def measure(machine: Machine, jobs: Sequence[Job], rows: Rows, seconds: float,
            limit: float) -> list[str]:  # fmt: skip
    """Names of what did not work, and of what there was no time for in LIMIT seconds."""
    begun, missing = time.monotonic(), []
    starts: dict[int, float] = {}  # what a start took, by the number of models
    for job in jobs:
        models = job.cases[0].models
        todo = [case for case in job.cases if not rows.have(case, job.variant)]
        if not todo:
            continue
        expected = starts.get(models, 3.0 * models if machine.device["kind"] == "cuda" else 3.0)
        at = time.monotonic()
        if at - begun + expected + seconds * machine.slow + 5 > limit:
            missing += [f"{case.name}, {job.variant}: no time left" for case in todo]
            continue
        try:
            missing += serve(job, machine, rows, seconds, begun + limit)
        except (ServerError, Error, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"{job.variant}, {models} models: {error}", file=sys.stderr, flush=True)
            missing.append(f"{job.variant}, {models} models: failed")
        mine = [row["start_s"] for row in rows.rows if len(row["rates"]) == models]
        if mine:
            starts[models] = max(mine)
    return missing


def simulate(machine: Machine, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """ROWS, each with what the simulator says of its list, and swap_aware's with the bound."""
    with tempfile.TemporaryDirectory(prefix="swapsim-") as name:
        folder = Path(name)
        for row in rows:
            case = Case(tuple(row["rates"]), row["cv"])
            config = folder / "config.json"
            config.write_text(json.dumps(machine.config(case, row["variant"])), encoding="utf-8")
            listed = stretch(case, machine, row["seconds"], folder)
            ours = row["variant"] == SWAP_AWARE
            ran = run_simulated(config, listed, folder / "out", *(["--bound"] if ours else []))
            bound = {"bound_s": ran.summary["bound"]["mean_s"]} if ours else {}
            yield {**row, "simulated": describe(ran), **bound}
            shutil.rmtree(folder / "out")
