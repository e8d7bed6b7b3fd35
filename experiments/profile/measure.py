"""Runs the benchmarks that a profile is made from, and keeps what they print as JSON files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.server import MPI, default_build
from swapserve.load import units

SECONDS_MAX = 300


@dataclass(frozen=True)
class Machine:
    """What is measured: a device and how many ranks of it. Of the CPU device, its settings too."""

    tp: int
    pp: int
    device: tuple[str, ...]  # options of both benchmarks
    compute: tuple[str, ...]  # of stepbench
    activation_bytes: int  # of an element, in the KV cache too
    piece_bytes: int
    page_bytes: int
    link_total_bytes: int
    model: str
    scales: tuple[float, float]  # of the shape's layers: few and more


def of_config(path: Path, model: str, scales: tuple[float, float]) -> Machine:
    """The machine that a server's configuration describes."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    group, device = content.get("group", {}), content["device"]
    cuda = device["kind"] == "cuda"
    options, compute = ["--device", device["kind"]], []
    link = device.get("link", {})
    bandwidth = units.parse(link.get("bandwidth", 0), units.RATES)
    if not cuda:
        options += ["--bandwidth", repr(bandwidth)]
        options += ["--latency", repr(units.parse(link.get("latency", 0), units.TIMES))]
    if device.get("compute") == "paced":
        rates = device["profile"]
        compute = ["--operations", "paced"]
        compute += ["--memory", repr(units.parse(rates["memory_bandwidth"], units.RATES))]
        compute += ["--flops", repr(units.parse(rates["flops"], units.FLOPS))]
        compute += ["--overhead", repr(units.parse(rates.get("overhead", "5us"), units.TIMES))]
    piece = units.parse(device.get("piece", "16MiB" if cuda else "1MiB"), units.SIZES)
    page = units.parse(device.get("page", "2MiB" if cuda else "64KiB"), units.SIZES)
    return Machine(
        tp=group.get("tp", 1),
        pp=group.get("pp", 1),
        device=tuple(options),
        compute=tuple(compute),
        activation_bytes=2 if cuda else 4,
        piece_bytes=int(piece),
        page_bytes=int(page),
        # A third of a second for each figure, that a slow link takes no minutes.
        link_total_bytes=max(1 << 20, int(bandwidth / 3)) if bandwidth else 2 << 30,
        model=model,
        scales=scales,
    )


def _run(program: str, ranks: int, arguments: Iterable[str], out: Path) -> Any:
    path = default_build() / "experiments" / program / program
    command = ["mpirun", "-np", str(ranks), str(path), *arguments, "--out", str(out)]
    done = subprocess.run(
        command, env={**os.environ, **MPI}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    print(done.stdout, end="", flush=True)


def _step(machine: Machine, tp: int, pp: int, scale: float, out: Path) -> None:
    arguments = [*machine.device, *machine.compute, "--model", machine.model]
    arguments += ["--scale", repr(scale), "--tp", str(tp), "--pp", str(pp)]
    arguments += ["--piece", str(machine.piece_bytes), "--page", str(machine.page_bytes)]
    _run("stepbench", tp * pp, arguments, out)


def measure(machine: Machine, folder: Path) -> None:
    """Writes link.json and step-*.json to FOLDER; the same names as `tests/gpu.sh run` gives."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["link", *machine.device, "--piece", str(machine.piece_bytes)]
    arguments += ["--total", str(machine.link_total_bytes)]
    _run("swapbench", machine.tp * machine.pp, arguments, folder / "profile-link.json")
    for name, scale in zip(("few", "more"), machine.scales):
        _step(machine, 1, 1, scale, folder / f"profile-1x1-{name}.json")
    if machine.tp > 1:
        _step(machine, machine.tp, 1, machine.scales[0], folder / "profile-tp.json")
    if machine.pp > 1:
        _step(machine, 1, machine.pp, machine.scales[0], folder / "profile-pp.json")


def read(folder: Path) -> dict[str, Any]:
    """What measure() left in FOLDER, by name without "profile-"; and "busy-1x1" of `tests/gpu.sh run`,
    decode of the whole model, where it is."""
    found = {}
    for path in [*sorted(folder.glob("profile-*.json")), *folder.glob("busy-1x1.json")]:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = content["rows"] if isinstance(content, dict) else content
        found[path.stem.removeprefix("profile-")] = rows
    for name in ("link", "1x1-few", "1x1-more"):
        if name not in found:
            raise RuntimeError(f"{folder}: no profile-{name}.json; there are {sorted(found)}")
    return found
