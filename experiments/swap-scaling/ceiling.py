"""The ceiling: bare copies of a model's bytes, all ranks together, from swapbench in the same run."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from experiments.server import MPI, default_build
from forms import Form
from ours import DIGITS, ENVIRON

LIMIT_SECONDS = 150.0


def measure(form: Form, layout: tuple[int, int]) -> dict[str, Any]:
    tp, pp = layout
    program = default_build() / "experiments" / "swapbench" / "swapbench"
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        out = Path(name) / "swap.json"
        command = [
            "mpirun", "-np", str(tp * pp), str(program), "swap", "--device", form.device,
            "--model", form.model, "--scale", str(form.scale), "--tp", str(tp), "--pp", str(pp),
            "--repeats", str(min(5, form.repeats)), "--bandwidth", f"{form.link_bytes_per_s:.0f}", "--out", str(out),
        ]  # fmt: skip
        if form.device == "cpu":
            command += ["--piece", "4194304"]
        environ = {**os.environ, **MPI, **ENVIRON, "OMPI_MCA_orte_tmpdir_base": name}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, env=environ
        )
        if done.returncode != 0:
            raise RuntimeError(f"swapbench ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        found = json.loads(out.read_text(encoding="utf-8"))
    row = next(row for row in found["rows"] if row["what"] == "swap")
    return {
        "device": found["device"],
        "bytes": row["bytes"], "rank_bytes_max": row["rank_bytes_max"],
        "bare_copies_s": round(row["ceiling_s"], DIGITS),
        "transfer_engine_s": round(row["load_s"], DIGITS),
    }  # fmt: skip
