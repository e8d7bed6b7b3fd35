"""Measures a paced CPU device, whose truth is what its configuration says, and compares.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/profile/check.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import fit
import measure

OPERATION_S = 50e-6
OPERATIONS = 5  # of a layer that the paced device counts: four products and the attention
CONFIG: dict[str, Any] = {
    "group": {"tp": 2, "pp": 1},
    "device": {
        "kind": "cpu",
        "pool": "1GiB",
        "piece": "1MiB",
        "link": {"bandwidth": "500MB/s", "latency": "100us"},
        "compute": "paced",
        "profile": {"memory_bandwidth": "24GB/s", "flops": "2TFLOP/s", "overhead": "50us"},
    },
}
# What should come out, and how far off it may be. Keys and values are paced at two bytes an element
# and stored in four; attention's arithmetic is in `flops`.
TRUTH = {
    "link.alone": (0.5e9, 0.05),
    "link.total": (2e9, 0.05),  # both ways at once, by two ranks
    "link.to_host": (0.5e9, 0.05),
    "link.to_host_total": (2e9, 0.05),
    "link.both": (1e9, 0.05),
    "link.to_host_share": (1.0, 0.05),
    "link.piece_gap": (100e-6, 0.2),
    "compute.memory_bandwidth": (24e9, 0.05),
    "compute.context_bandwidth": (48e9, 0.15),
    "compute.flops": (2e12, 0.1),
    "compute.layer_overhead": (OPERATIONS * OPERATION_S, 0.3),
}


def main() -> int:
    good = True
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        folder = Path(name)
        config = folder / "config.yaml"
        config.write_text(json.dumps(CONFIG), encoding="utf-8")  # JSON is YAML
        machine = measure.of_config(config, "opt-350m", (0.125, 0.375))
        measure.measure(machine, folder)
        found = fit.fit(measure.read(folder), machine.activation_bytes)
    for key, (truth, limit) in TRUTH.items():
        error = found[key] / truth - 1
        good = good and abs(error) <= limit
        word = "ok  " if abs(error) <= limit else "MISS"
        print(f"{word} {key}: {found[key]:.5g}, truth {truth:.5g}, {error:+.1%}")
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"profile: {error}")
