"""What Computron's rules took live on two H200s, and simulated twice: with copies to the host having the
share of the host's memory that was measured, and with shares alike.

    PYTHONPATH=rpc/python:. .venv/bin/python experiments/workloads/shares.py
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import live
from cases import COMPUTRON, H200_PAIR, LABELS

from experiments import markdown, results

HERE = Path(__file__).resolve().parent
FILES = ["live-cuda-pair-8s.json", "live-cuda-pair.json"]


def measured() -> list[dict[str, Any]]:
    contents = [json.loads((HERE / "results" / name).read_text(encoding="utf-8")) for name in FILES]
    return [row for content in contents for row in content["rows"] if row["variant"] == COMPUTRON]


def main() -> None:
    argparse.ArgumentParser(description=str(__doc__).partition("\n\n")[0]).parse_args()
    assert H200_PAIR.profile
    profile = H200_PAIR.profile.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="shares-") as folder:
        alike = Path(folder) / "alike.yaml"
        alike.write_text(re.sub(r"to_host_share: \S+", "to_host_share: 1", profile), encoding="utf-8")
        rows = measured()
        machines = H200_PAIR, replace(H200_PAIR, profile=alike)
        ways = [list(live.simulate(machine, rows)) for machine in machines]
    found = [
        {"rates": own["rates"], "cv": own["cv"], "seconds": own["seconds"], "live_s": own["live"]["mean_s"],
         "simulated_s": own["simulated"]["mean_s"], "alike_s": other["simulated"]["mean_s"]}
        for own, other in zip(*ways, strict=True)
    ]  # fmt: skip
    results.write(HERE / "results" / "shares.json", {"commit": results.commit(), "rows": found})
    lines = [
        [f"({','.join(map(str, row['rates']))}), CV {row['cv']:g}, {row['seconds']:g} s",
         *(f"{1e3 * row[key]:.0f}" for key in ("live_s", "simulated_s", "alike_s"))]
        for row in found
    ]  # fmt: skip
    head = [f"{LABELS[COMPUTRON]}, mean, ms", "live", "simulated", "with shares alike"]
    table = markdown.table(head, lines)
    markdown.put(HERE / "README.md", "shares", table)
    print(table)


if __name__ == "__main__":
    main()
