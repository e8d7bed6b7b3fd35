"""Results as JSON: what was measured, when, and on what machine."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def machine() -> dict[str, Any]:
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "kernel": platform.release(),
    }


def commit() -> str:
    """What runs: this checkout's commit, `-dirty` where anything but results differs from it; where
    programs were packed ($SWAPSERVE_COMMIT), the one they were built from."""
    if "SWAPSERVE_COMMIT" in os.environ:
        return os.environ["SWAPSERVE_COMMIT"]
    git = ["git", "-C", str(ROOT)]
    try:
        found = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
        code = [".", ":!experiments/*/results*", ":!*.md", ":!*.png"]
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", *code], capture_output=True)
    except OSError:
        return "unknown"
    if found.returncode != 0:
        return "unknown"
    return found.stdout.strip() + ("-dirty" if changed.returncode else "")


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes CONTENT with date and machine to PATH."""
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    text = json.dumps({"date": date, "machine": machine(), **content}, indent=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def summary(values: Sequence[float], digits: int = 2) -> dict[str, Any]:
    """Median, least and largest of VALUES, and how many there are."""
    if not values:
        return {"count": 0}
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "count": len(values),
    }
