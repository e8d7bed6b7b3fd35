"""What is run: layouts, rules to emulate, and the two forms, on GPUs and on the paced CPU device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LAYOUTS = [(1, 1), (2, 1), (4, 1), (1, 2), (1, 4), (2, 2)]  # (tp, pp)
PROMPT = [2, 100, 200, 300, 400, 500, 600, 700]
MODELS = ("a", "b")
CONTEXT = 256

SWITCHES = {"copy_back": True, "wait_whole_load": True, "poll": True}
OURS, PREFETCH, ALL, COMPUTRON = "ours", "prefetch", "all", "computron"
BEFORE, AFTER = "bare copies before", "bare copies after"  # the server of OURS
# What is emulated: each switch alone and all three, with room for one model. `computron` has its
# budget too, a number of models: with room for a second one, the copy back and the load that follows
# go on together. Only `prefetch` may guess who comes next: where turns are taken a guess is right, and
# what is to be measured is a swap.
VARIANTS: dict[str, dict[str, Any]] = {
    OURS: {},
    PREFETCH: {},
    **{name: {name: value} for name, value in SWITCHES.items()},
    ALL: dict(SWITCHES),
    COMPUTRON: {**SWITCHES, "models": 1},
}


@dataclass(frozen=True)
class Form:
    device: str  # cpu or cuda
    model: str
    scale: float
    link_bytes_per_s: float  # nominal, one way, each rank; on the CPU device the paced rate
    link_name: str
    repeats: int  # swaps that are timed
    memory_over_link: float = 0.0  # paced: device memory's rate over the link's
    flops_over_link: float = 0.0  # paced: operations a second over the link's bytes a second
    single_layouts: tuple[tuple[int, int], ...] = tuple(LAYOUTS)  # for all variants but two
    torch_layouts: tuple[tuple[int, int], ...] = tuple(LAYOUTS)
    variants: tuple[str, ...] = tuple(VARIANTS)
    moment: float | None = None  # of the emulated polling's period, of requests; none: all over it

    def device_config(self, pool_bytes: float) -> dict[str, Any]:
        made: dict[str, Any] = {"kind": self.device, "pool": f"{pool_bytes / 2**20:.0f}MiB"}
        if self.device == "cpu":
            rates = self.link_bytes_per_s * self.memory_over_link, self.link_bytes_per_s
            made["piece"] = "4MiB"  # 10 ms: a sleeper that wakes late must not leave the link idle
            made["link"] = {"bandwidth": f"{rates[1] / 1e6:.3f}MB/s"}
            made["compute"] = "paced"
            made["profile"] = {
                "memory_bandwidth": f"{rates[0] / 1e9:.3f}GB/s",
                "flops": f"{self.link_bytes_per_s * self.flops_over_link / 1e9:.3f}GFLOP/s",
            }
        return made

    def config(self, layout: tuple[int, int], variant: str, pool_bytes: float) -> dict[str, Any]:
        """A server with room for POOL_BYTES on each rank."""
        emulate = VARIANTS[variant]
        tokens = {"batch": 8, "step_tokens": 256, "slots": 16}
        made: dict[str, Any] = {
            "group": {"tp": layout[0], "pp": layout[1]},
            "device": self.device_config(pool_bytes),
            "arena": {"spill": "64MiB"},
            "limits": tokens,
            "models": [
                {"name": name, "synthetic": self.model, "scale": self.scale, "seed": seed,
                 "context": CONTEXT}
                for seed, name in enumerate(MODELS, 1)
            ],
        }  # fmt: skip
        if emulate:
            made |= {"emulate": emulate, "policy": "lru"}
        else:
            made["swap_aware"] = {"prefetch": variant == PREFETCH}
        return made


# The H200's shares (experiments/swapbench, experiments/stepbench): its memory is read 76 times as
# fast as its link, and it computes 13,000 operations for each byte that the link brings.
H200 = {"memory_over_link": 76.0, "flops_over_link": 1.3e4}
CUDA = Form(
    "cuda", "opt-13b", 1.0, 64e9, "PCIe 5.0 x16, 64 GB/s", repeats=5,
    single_layouts=((2, 2), (2, 1)), torch_layouts=((2, 2), (4, 1), (2, 1), (1, 1), (1, 2)),
)  # fmt: skip
CPU = Form("cpu", "opt-350m", 0.5, 0.4e9, "paced, 0.4 GB/s", repeats=6, **H200)
# The check: computing takes a larger share and requests come just after a look of the emulated
# polling, so that each rule shows beside a busy machine.
SMALL = Form(
    "cpu", "opt-350m", 0.17, 0.3e9, "paced, 0.3 GB/s", repeats=3,
    memory_over_link=5.0, flops_over_link=1.3e4, single_layouts=((2, 2),),
    variants=tuple(name for name in VARIANTS if name not in (COMPUTRON, PREFETCH)), moment=0.1,
)  # fmt: skip
