"""One list of arrivals, run live over mpirun and in swapsim by the same configuration; and the command
line of what is asked of both."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.server import ROOT, Server
from experiments.simulation import default_program


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


def parse(doc: str, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of a script that DOC describes."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--swapsim", type=Path, default=default_program())
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--live", action="store_true", help="the live runs, nothing else")
    parser.add_argument("--simulate", action="store_true", help="with --live: in swapsim only")
    parser.add_argument("--small", action="store_true", help="a short form of both: for CI")
    parser.add_argument("--out", type=Path, help="folder for results and the picture; none: no files")
    return parser.parse_args(arguments)


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
    run([sys.executable, "-m", "swapserve.load", "--workload", workload, "--seed", seed, *duration,
          "--dry-run", ",".join(names), "--save-arrivals", out])  # fmt: skip


def both(
    path: Path, changes: Mapping[str, Any], workload: Mapping[str, Any], folder: Path,
    describe: Callable[[Ran], dict[str, Any]], live: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """What DESCRIBE says of both runs, the configuration at PATH having CHANGES; FOLDER is made."""
    folder.mkdir(parents=True)
    config = configure(path, changes, folder)
    asked, arrivals = folder / "workload.yaml", folder / "arrivals.csv"
    asked.write_text(json.dumps(workload), encoding="utf-8")
    make_arrivals(asked, 1, model_names(config), arrivals)
    row: dict[str, Any] = {"simulated": describe(run_simulated(config, arrivals, folder / "simulated"))}
    if live:
        row["live"] = describe(run_live(config, arrivals, folder / "live"))
        row["load_average"] = round(os.getloadavg()[0], 2)
    return row


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
    run([sys.executable, "-m", "swapserve.load", "--quiet", "--arrivals", arrivals,
          "--endpoint", server.endpoint, "--out", folder])  # fmt: skip
    return read(folder)


def run_simulated(config: Path, arrivals: Path, folder: Path, *options: str) -> Ran:
    command = [default_program(), "--quiet", "--config", config, "--arrivals", arrivals, "--out", folder]
    run([*command, *options])
    return read(folder)


def run(command: list[Any]) -> None:
    """COMMAND, which has to work; it finds the Python client."""
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
