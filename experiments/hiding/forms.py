"""What the sweep runs: machine, models, and how much work the resident model has.

One model is resident, pinned, and has between no and plenty of requests at once, each followed by the
next one. Four others are asked at random; one fits beside it, so that three of four such requests are
cold. For comparison the same requests to a server that has room for all five.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.simulation import ROOT

BUSY = "busy"
TURNS = [f"turn-{i}" for i in range(1, 5)]
PROMPT_TOKENS, ANSWER_TOKENS, TURN_TOKENS = 64, 32, 8
CONTEXT, SEQUENCES = 112, 10  # what the KV cache has to hold
LAYER_BYTES = 2 * 12 * 1024**2  # of opt-350m, fp16
GIB_OF_OPT_13B, GIB_OF_TOKEN = 25.1, 0.00077  # of all ranks
SHELL_BYTES = 2 * (50272 * 512 + 2050 * 1024 + 2 * 512 * 1024)
LOADS_SHARE = 0.6  # of the link's time, were all requests to the others cold


@dataclass(frozen=True)
class Level:
    """So many requests of the resident model at once; a share below 1 is of one's time."""

    name: str
    clients: int
    share: float = 1.0


LEVELS = [
    Level("none", 0),
    Level("1/4", 1, 0.25),
    Level("1/2", 1, 0.5),
    *(Level(str(count), count) for count in (1, 2, 4, 8, 16)),
]


def some(*names: str) -> list[Level]:
    return [level for level in LEVELS if level.name in names]


@dataclass(frozen=True)
class Form:
    kind: str  # paced, cuda, or simulated: a cuda config for swapsim
    tp: int
    pp: int
    load_s: float  # about what a load takes alone
    answer_s: float  # about what an answer of the resident model takes alone
    seconds: float  # of arrivals, at each level
    levels: Sequence[Level]
    model: str = "opt-13b"
    scale: float = 1.0

    @property
    def ranks(self) -> int:
        return self.tp * self.pp

    @property
    def name(self) -> str:
        return f"{self.kind} ({self.tp},{self.pp})"

    def device(self, models: int) -> dict[str, Any]:
        """With room for so many MODELS, and the KV cache of the sequences that run at once."""
        if self.kind != "paced":
            cache = SEQUENCES * CONTEXT * GIB_OF_TOKEN
            gib = (models * GIB_OF_OPT_13B + cache) / self.ranks + 0.2
            return {"kind": "cuda", "pool": f"{gib:.2f}GiB"}
        layers = round(24 * self.scale)
        weights = layers * LAYER_BYTES / self.ranks + SHELL_BYTES / self.tp  # of the first stage
        cache = SEQUENCES * CONTEXT * layers * 2 * 1024 * 4 / self.ranks  # 4 bytes for each of K and V
        link = weights / self.load_s
        return {
            "kind": "cpu",
            "pool": f"{((models + 0.05) * weights + cache) / 2**20:.0f}MiB",
            "piece": "1MiB",
            "link": {"bandwidth": f"{link / 1e6:.3f}MB/s", "latency": "20us"},
            "compute": "paced",
            "profile": {  # it reads its memory 60 times as fast as its link, as accelerators do
                "memory_bandwidth": f"{60 * link / 1e9:.3f}GB/s",
                "flops": f"{2.4e3 / self.ranks:.1f}GFLOP/s",
                "overhead": "5us",
            },
        }

    def config(self, room: int) -> dict[str, Any]:
        """A server with room for ROOM of the models."""
        scale = {"scale": self.scale} if self.scale < 1 else {}
        made: dict[str, Any] = {
            "group": {"tp": self.tp, "pp": self.pp},
            "device": self.device(room),
            "limits": {"step_tokens": 256, "batch": 8},
            "models": [
                {"name": name, "synthetic": self.model, **scale, "context": CONTEXT, "seed": seed}
                for seed, name in enumerate([BUSY, *TURNS])
            ],
        }
        made["models"][0]["pin"] = True
        if self.kind == "simulated":
            made["profile"] = str(ROOT / "configs" / "profiles" / "h200-x4.yaml")
        return made

    def workload(self, level: Level) -> dict[str, Any]:
        """The others' requests come first, so that they are the same at each level."""
        streams: list[dict[str, Any]] = [
            {
                "models": TURNS,
                "zipf": {"rate": LOADS_SHARE / self.load_s, "skew": 0.0},
                "output": {"tokens": TURN_TOKENS},
            }
        ]
        if level.clients > 0:
            think = self.answer_s * (1 / level.share - 1)
            streams.append(
                {
                    "models": [BUSY],
                    "turns": {"clients": level.clients, "think": f"{think * 1e3:.0f}ms"},
                    "output": {"tokens": ANSWER_TOKENS},
                }
            )
        prompt = {"tokens": PROMPT_TOKENS}
        return {"duration": f"{self.seconds}s", "prompt": prompt, "streams": streams}


ROOM, ALL = 2, 1 + len(TURNS)

PACED = Form("paced", 1, 1, 0.8, 0.5, 16, LEVELS, "opt-350m", 0.25)
PACED_WIDE = [
    Form("paced", tp, pp, 0.8, 0.5, 16, some("none", "1", "8"), "opt-350m", 0.25)
    for tp, pp in ((2, 1), (2, 2))
]
SIMULATED = [
    Form("simulated", 2, 2, 0.14, 0.45, 60, LEVELS),
    Form("simulated", 1, 1, 0.46, 0.35, 120, LEVELS),
]
SMALL = Form("paced", 1, 1, 0.4, 0.3, 6, some("none", "8"), "opt-350m", 0.25)
CUDA = {
    "cuda": Form("cuda", 2, 2, 0.14, 0.3, 6, some("none", "1", "4", "16")),
    "cuda-pair": Form("cuda", 2, 1, 0.26, 0.2, 5, some("none", "1", "8")),
}
