"""One list of arrivals, run live over mpirun and in swapsim by the same configuration."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.server import ROOT, Server, default_build

@dataclass(frozen=True)
class Ran:
    """A run's summary, and the latency of each answered request in seconds."""

    summary: dict[str, Any]
    latencies: list[float]

    @property
    def mean_s(self) -> float:
        return float(self.summary["latency_s"]["mean"])

    @property
    def p99_s(self) -> float:
        return float(self.summary["latency_s"]["p99"])


def configure(path: Path, changes: Mapping[str, Any], folder: Path) -> Path:
    """The configuration at PATH with CHANGES in the place of its own keys, written to FOLDER."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["profile"] = str((path.parent / content["profile"]).resolve())
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    made = folder / "config.yaml"
    made.write_text(json.dumps(content, indent=1), encoding="utf-8")  # JSON is YAML
    return made


def model_names(config: Path) -> list[str]:
    return [model["name"] for model in json.loads(config.read_text(encoding="utf-8"))["models"]]


def make_arrivals(
    workload: Path, seed: int, names: list[str], out: Path, seconds: float | None = None
) -> None:
    """The list of arrivals that both runs replay; for so many SECONDS, else as the workload says."""
    duration = [] if seconds is None else ["--duration", seconds]
    _run([sys.executable, "-m", "swapserve.load", "--workload", workload, "--seed", seed, *duration,
          "--dry-run", ",".join(names), "--save-arrivals", out])  # fmt: skip


def run_live(config: Path, arrivals: Path, folder: Path, reuse: bool = False) -> Ran:
    """On a server of its own. REUSE takes the run that is in FOLDER, if there is one."""
    if reuse and (folder / "summary.json").exists():
        return read(folder)
    group = json.loads(config.read_text(encoding="utf-8")).get("group", {})
    with Server(config, group.get("tp", 1) * group.get("pp", 1)) as server:
        empty(server, model_names(config))
        ran = ask(server, arrivals, folder)
        if server.drain() != 0:
            raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")
    return ran


def empty(server: Server, names: Sequence[str], touch: bool = True) -> None:
    """The models NAMES are absent; before, with TOUCH, every page of the pool is touched."""
    with server.client() as client:
        for name in names if touch else ():
            client.load(name)
        for name in names:
            client.drop(name)
        time.sleep(0.3)


def ask(server: Server, arrivals: Path, folder: Path) -> Ran:
    """ARRIVALS, from a program of their own."""
    _run([sys.executable, "-m", "swapserve.load", "--quiet", "--arrivals", arrivals,
          "--endpoint", server.endpoint, "--out", folder])  # fmt: skip
    return read(folder)


def run_simulated(config: Path, arrivals: Path, folder: Path, *options: str) -> Ran:
    program = default_build() / "engine" / "swapsim" / "swapsim"
    command = [program, "--quiet", "--config", config, "--arrivals", arrivals, "--out", folder]
    _run([*command, *options])
    return read(folder)


def _run(command: list[Any]) -> None:
    places = [str(ROOT / "rpc" / "python"), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    done = subprocess.run(
        [str(part) for part in command], env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stdout}")


def read(folder: Path) -> Ran:
    """The results of either that are in FOLDER."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    with (folder / "requests.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["reason"] in ("length", "stop", "eos")]
    return Ran(summary, [float(row["end_s"]) - float(row["arrival_s"]) for row in rows])
