"""Two models take turns on a server with room for one: loads, first tokens, responses."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments import traces
from experiments.results import summary
from experiments.server import Server, default_build
from forms import COMPUTRON, MODELS, PREFETCH, PROMPT, Form
from swapserve import Client

RESIDENT_REPEATS = 3
WARM_UPS = 2  # touch every page of the pool
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
# Two ranks or fewer would be bound to a core each, with all their threads.
ENVIRON = {"OMPI_MCA_hwloc_base_binding_policy": "none"}
DIGITS = 6
POLL_SECONDS = 0.010


def room(form: Form, layout: tuple[int, int]) -> tuple[float, float]:
    """Bytes of the largest shard, and of one sequence beside it, as `--check` prints them."""
    config = form.config(layout, "ours", 2**40)
    program = default_build() / "engine" / "serve" / "swapserve"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(config, file)
        file.flush()
        done = subprocess.run(
            [program, "--config", file.name, "--check"], capture_output=True, text=True
        )
    if done.returncode != 0:
        raise RuntimeError(f"--check ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    plan = done.stdout.partition("bytes per rank:")[2]
    return _largest(plan, MODELS[0]), _largest(plan, "longest sequence")


def _largest(plan: str, row: str) -> float:
    line = next(line for line in plan.splitlines() if line.strip().startswith(row + "  "))
    sizes = re.findall(r"([\d.]+) ([KMGT]?i?B)", line)
    return max(float(number) * UNITS[unit] for number, unit in sizes)


def pool_for(form: Form, layout: tuple[int, int], variant: str) -> float:
    """One model and two sequences, and what printing rounds off; a second model for COMPUTRON."""
    shard, sequence = room(form, layout)
    return (2 if variant == COMPUTRON else 1) * 1.01 * shard + 2 * sequence + 16 * 2**20


def _request(client: Client, model: str) -> tuple[float, float]:
    """Seconds until the answer is here, and until its first token left, as the server saw it."""
    begun = time.monotonic()
    result = client.generate(model, PROMPT, max_tokens=1, ignore_eos=True)
    return time.monotonic() - begun, result.timing.first_token_ns / 1e9


def _take_turns(client: Client, turns: list[str], moment: float | None) -> list[tuple[float, float]]:
    """Requests at MOMENT, a share of emulated polling's period, or all over it: right after one
    another they would always come just after its last look. It looks at multiples of its period."""
    found = []
    for turn, model in enumerate(turns):
        time.sleep(0.020)
        share = (turn + 0.5) / len(turns) if moment is None else moment
        time.sleep((share * POLL_SECONDS - time.monotonic()) % POLL_SECONDS)
        found.append(_request(client, model))
    return found


def measure(form: Form, layout: tuple[int, int], variant: str, keep: Path | None) -> dict[str, Any]:
    """A row of results; the trace stays as KEEP where that is given."""
    tp, pp = layout
    pool = pool_for(form, layout, variant)
    turns = [MODELS[i % 2] for i in range(WARM_UPS + form.repeats)]
    with tempfile.TemporaryDirectory(prefix="swapserve-") as name:
        trace = keep or Path(name) / "trace.json"
        begun = time.monotonic()
        with Server(form.config(layout, variant, pool), tp * pp, trace=trace, environ=ENVIRON,
                    start_seconds=180) as server, server.client() as client:  # fmt: skip
            start_s = time.monotonic() - begun
            cold = _take_turns(client, turns, form.moment)[WARM_UPS:]
            resident = [_request(client, turns[-1]) for _ in range(RESIDENT_REPEATS)]
            status = client.status()
            if server.drain() != 0:
                raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")
        events = traces.read(trace)
    if variant != PREFETCH and status.loads != len(turns):
        raise RuntimeError(f"{status.loads} loads for {len(turns)} changes of model")
    bytes_of_model = status.models[0].total_bytes
    row = {
        "system": "ours", "variant": variant, "tp": tp, "pp": pp,
        "model_bytes": bytes_of_model, "pool_bytes": round(pool), "start_s": round(start_s, 1),
        "first_token_s": summary([first for _, first in cold], DIGITS),
        "response_s": summary([response for response, _ in cold], DIGITS),
        "resident_s": summary([response for response, _ in resident], DIGITS),
        "loads": status.loads, "drops": status.drops,
        "bytes_loaded": status.bytes_loaded, "bytes_copied_back": status.bytes_copied_back,
    }  # fmt: skip
    if variant == PREFETCH:  # a load has begun, or is over, when its request comes
        return row
    parts = _parts(events, [response for response, _ in cold])
    row["load_s"] = summary([part["load"] for part in parts], DIGITS)
    for part in ("swap", "compute", "overhead"):
        row[part + "_s"] = round(statistics.median(p[part] for p in parts), DIGITS)
    return row


def _parts(events: list[traces.Event], responses: list[float]) -> list[dict[str, float]]:
    """Each response's seconds: moving weights, computing after that, and neither of the two.

    The swap is from the first entry of the exchange (a drop that copies back comes before its load)
    to the last chunk on the last rank. What is computed while it lasts costs no time of its own."""
    every = traces.loads(events)
    loads, earlier = every[-len(responses) :], every[-len(responses) - 1 :]
    drops = [e for e in events if e["tid"] == traces.ENTRIES and e["name"].startswith("drop")]
    parts = []
    for before, load, response in zip(earlier, loads, responses):
        own = [e["ts"] for e in drops if before.entry < e["args"]["entry"] < load.entry]
        begun = min([*own, load.start])
        swap = (load.end - begun) / 1e6
        compute = _computing(events, load) / 1e6
        rest = max(0.0, response - swap - compute)
        parts.append({"load": load.length / 1e6, "swap": swap, "compute": compute, "overhead": rest})
    return parts


def _computing(events: list[traces.Event], load: traces.Load) -> float:
    """Microseconds after the load's end in which some rank computed its first batch."""
    batches = [
        event
        for event in events
        if event["tid"] == traces.COMPUTE and event["args"]["entry"] > load.entry
    ]
    first = min((event["args"]["entry"] for event in batches), default=0)
    return traces.work([e for e in batches if e["args"]["entry"] == first], load.end)


