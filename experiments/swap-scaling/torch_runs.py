"""Starts the torch baseline, one process per rank, and takes its row of results."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from forms import PROMPT, Form

SCRIPT = Path(__file__).with_name("torch_baseline.py")
LIMIT_SECONDS = 240.0
# By several threads, not by cudaMallocHost: a start takes seconds less, and copies are as fast.
PINNING = "pinned_use_cuda_host_register:True,pinned_num_register_threads:8"


def measure(form: Form, layout: tuple[int, int], python: str) -> dict[str, Any]:
    tp, pp = layout
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    environ = dict(os.environ)
    environ.pop("PYTHONPATH", None)  # another Python's
    # What torch loads is the machine's, not what was packed for our own programs.
    if "HOST_LD_LIBRARY_PATH" in environ:
        environ["LD_LIBRARY_PATH"] = environ["HOST_LD_LIBRARY_PATH"]
    environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    environ["PYTORCH_CUDA_ALLOC_CONF"] = PINNING
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        out = Path(name) / "row.json"
        command = [
            python, str(SCRIPT), "--device", form.device, "--model", form.model,
            "--scale", str(form.scale), "--tp", str(tp), "--pp", str(pp),
            "--repeats", str(form.repeats), "--prompt", *map(str, PROMPT), "--out", str(out),
        ]  # fmt: skip
        log = Path(name) / "log"
        with log.open("w", encoding="utf-8") as file:
            ranks = [
                subprocess.Popen(command, env={**environ, "RANK": str(rank)}, stdout=file,
                                 stderr=subprocess.STDOUT, start_new_session=True)
                for rank in range(tp * pp)
            ]  # fmt: skip
            codes = _await(ranks)
        if any(codes):
            tail = log.read_text(encoding="utf-8")[-3000:]
            raise RuntimeError(f"torch ranks ended with {codes}:\n{tail}")
        return {"system": "torch", **json.loads(out.read_text(encoding="utf-8"))}


def _await(ranks: list[subprocess.Popen[bytes]]) -> list[int | None]:
    """Their exit statuses; all end when one fails or the time is over."""
    limit = time.monotonic() + LIMIT_SECONDS
    try:
        while time.monotonic() < limit:
            codes = [rank.poll() for rank in ranks]
            if any(codes) or None not in codes:
                return codes
            time.sleep(0.1)
        return [rank.poll() for rank in ranks] + [-signal.SIGALRM]
    finally:
        for rank in ranks:
            if rank.poll() is None:
                os.killpg(rank.pid, signal.SIGKILL)
            rank.wait()
