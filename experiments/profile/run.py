"""Measures a machine and writes its profile, for swapsim and the controller.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/profile/run.py CONFIG --out PROFILE.yaml

CONFIG is a server's configuration: its device and its layout are measured. --from FOLDER takes what
was measured before, here or by `tests/gpu.sh run` on a machine with GPUs, instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import yaml

import fit
import measure
from experiments.results import machine


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a server's configuration, for its device")
    parser.add_argument("--out", type=Path, required=True, help="the profile")
    parser.add_argument("--keep", type=Path, help="folder for what the benchmarks print, as JSON")
    parser.add_argument("--from", type=Path, dest="source", help="folder with such files: no run")
    parser.add_argument("--model", default="opt-350m", choices=sorted(fit.SHAPES),
                        help="shape of the steps (default opt-350m)")  # fmt: skip
    parser.add_argument("--scales", type=float, nargs=2, default=(0.125, 0.375), metavar="SHARE",
                        help="shares of its layers: few and more (default 0.125 0.375)")  # fmt: skip
    return parser.parse_args()


def quantity(key: str, value: float) -> str:
    """VALUE as the profile has it."""
    name = key.rpartition(".")[2]
    if name == "to_host_share":
        return f"{value:.3g}"
    if name == "flops":
        return f"{value / 1e9:.6g}GFLOP/s"
    if name in ("alone", "total", "to_host", "to_host_total", "both") or name.endswith("bandwidth"):
        return f"{value / 1e9:.6g}GB/s"
    return f"{value * 1e6:.4g}us" if value > 0 else "0"


def text(figures: fit.Figures, config: Path) -> str:
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    where = machine()
    lines = [
        f"# Measured by experiments/profile/run.py {config.name}, {date}, on",
        f"# {where['processor']}, {where['cores']} cores.",
    ]
    section = ""
    for key, value in figures.items():
        part, _, name = key.partition(".")
        if part != section:
            lines.append(f"{part}:")
            section = part
        lines.append(f"  {name}: {quantity(key, value)}")
    return "\n".join(lines) + "\n"


def main() -> int:
    options = parse()
    found = measure.of_config(options.config, options.model, tuple(options.scales))
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        folder = options.source or options.keep or Path(name)
        if not options.source:
            measure.measure(found, folder)
        figures = fit.fit(measure.read(folder), found.activation_bytes)
    options.out.write_text(text(figures, options.config), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError, ValueError, KeyError, yaml.YAMLError) as error:
        sys.exit(f"profile: {error!r}")
