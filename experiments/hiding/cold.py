"""A cold request on an idle server: the time to its first token, against load and batch."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import traces
from experiments.plot import timeline
from experiments.results import summary
from experiments.server import Server
from swapserve import Client

MODEL = "measured"
PROMPT_TOKENS = 100
# Operations of one prompt of that length, for each layer of opt-350m: 2 for each weight and token,
# and the attention's.
LAYER_FLOPS = 2 * 12 * 1024**2 * PROMPT_TOKENS + 4 * 1024 * PROMPT_TOKENS * (PROMPT_TOKENS + 1) / 2
LAYER_BYTES = 2 * 12 * 1024**2
SHELL_BYTES = 2 * (50272 * 512 + 2050 * 1024 + 2 * 512 * 1024)  # embedding, positions, projections


@dataclass(frozen=True)
class Case:
    tp: int
    ratio: int  # batches that a load is meant to take as long as
    scale: float = 1.0  # share of opt-350m's 24 layers
    load_s: float = 1.35
    repeats: int = 7

    @property
    def name(self) -> str:
        return f"({self.tp},1), load = {self.ratio} x batch"

    def config(self) -> dict[str, Any]:
        layers = round(24 * self.scale)
        bandwidth = (layers * LAYER_BYTES + SHELL_BYTES) / self.load_s / self.tp
        flops = layers * LAYER_FLOPS * self.ratio / self.load_s / self.tp
        return {
            "group": {"tp": self.tp, "pp": 1},
            "device": {
                "kind": "cpu",
                "pool": f"{900 // self.tp}MiB",
                "piece": "1MiB",
                "link": {"bandwidth": f"{bandwidth / 1e6:.3f}MB/s", "latency": "20us"},
                "compute": "paced",
                "profile": {
                    "memory_bandwidth": "3TB/s",
                    "flops": f"{flops / 1e9:.3f}GFLOP/s",
                    "overhead": "5us",
                },
            },
            "limits": {"step_tokens": 512},
            "models": [
                {"name": MODEL, "synthetic": "opt-350m", "scale": self.scale, "context": 1024}
            ],
        }


def _first_token_ms(client: Client) -> float:
    prompt = list(range(10, 10 + PROMPT_TOKENS))
    result = client.generate(MODEL, prompt, max_tokens=1, ignore_eos=True)
    return result.timing.first_token_ns / 1e6


def _load_ms(client: Client) -> float:
    """Loads the absent model with nothing else to do."""
    before = client.status().load_ns
    client.load(MODEL)
    time.sleep(0.1)  # the last rank's end of the load may still be on its way
    return (client.status().load_ns - before) / 1e6


def measure(case: Case, trace: Path) -> dict[str, Any]:
    """Load alone, warm batch, cold request, in turn; what comes of it as a row of results."""
    loads, batches, colds = [], [], []
    with Server(case.config(), case.tp, trace=trace) as server, server.client() as client:
        for repeat in range(case.repeats + 1):
            load = _load_ms(client)
            warm = [_first_token_ms(client) for _ in range(2)]
            client.drop(MODEL)
            cold = _first_token_ms(client)
            client.drop(MODEL)
            if repeat == 0:
                continue  # the first touches every page of the pool
            loads.append(load)
            batches.append(statistics.median(warm))
            colds.append(cold)
        status = client.status()
        if server.drain() != 0:
            raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")
    load, batch, cold = (statistics.median(values) for values in (loads, batches, colds))
    bound = load + 0.3 * batch if case.ratio > 1 else 1.3 * load
    return {
        "case": case.name,
        "tp": case.tp,
        "scale": case.scale,
        "load_ms": summary(loads),
        "batch_ms": summary(batches),
        "cold_first_token_ms": summary(colds),
        "load_over_batch": round(load / batch, 2),
        "cold_over_load": round(cold / load, 3),
        "batches_after_load": round((cold - load) / batch, 3),
        "bound_ms": round(bound, 2),
        "met": cold <= bound,
        "drops": status.drops,
        "bytes_copied_back": status.bytes_copied_back,
    }


def draw(trace: Path, path: Path, title: str) -> None:
    """The last cold request of a trace: its load, and the batch that follows it chunk by chunk."""
    events = traces.read(trace)
    load = traces.loads(events)[-1]
    batches = [
        event["ts"] + event["dur"]
        for event in events
        if event["tid"] == traces.COMPUTE and event["ts"] >= load.start
    ]
    end = max(batches)
    space = 0.03 * (end - load.start)
    marks = {"request": load.start, "loaded": load.end, "first token": end}
    timeline.draw(events, path, title, (load.start - space, end + 4 * space), marks)
