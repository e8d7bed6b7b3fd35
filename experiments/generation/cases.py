"""What is run: lengths as people's chats have them, 40 models of OPT-13B's shape on four whole H200s.

Lengths are lognormal with medians and means of the conversation trace that Azure published in 2023
(github.com/Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv.csv; medians as Patel et al. give
them, arXiv 2311.18677): prompts of 1020 (mean 1155) and answers of 129 (mean 211) tokens. A lognormal's
mean is its median times exp(sigma^2 / 2), which gives sigma 0.5 and 1.0. Both are cut to what OPT's
2,048 positions hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODELS = 40
GIB_OF_MODEL = 6.25  # on each rank
POOL_GIB = 120.0
KV_GIB = 24.0  # of the pool, when as many models as then fit are in
SECONDS = 120
RATES = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0]  # of all models together, requests a second
PROMPT = {"median": 1020, "sigma": 0.5, "max": 1500}
OUTPUT = {"median": 129, "sigma": 1.0, "max": 500}
ONE_TOKEN = {"tokens": 1}

PLACES = int((POOL_GIB - KV_GIB) / GIB_OF_MODEL)  # models that leave the KV cache its part

RESIDENT = "all resident"
COMPUTRON = {"copy_back": True, "wait_whole_load": True, "poll": True, "models": PLACES}
POLICIES: dict[str, dict[str, Any]] = {
    RESIDENT: {"policy": "lru"},  # on a machine with room for all of them
    "computron": {"policy": "lru", "emulate": COMPUTRON},
    "lru": {"policy": "lru"},
    "swap_aware": {"policy": "swap_aware"},
    f"swap_aware, {PLACES} at most": {"policy": "swap_aware", "emulate": {"models": PLACES}},
}


@dataclass(frozen=True)
class Case:
    policy: str
    rate: float
    output: str = "chat"  # or one token

    def config(self) -> dict[str, Any]:
        made = dict(POLICIES[self.policy])
        limits = {"requests": 100000, "slots": 256, "batch": 32, "step_tokens": 2048}
        pool = POOL_GIB
        if self.policy == RESIDENT:
            pool = MODELS * GIB_OF_MODEL + KV_GIB
        if self.policy == "computron":  # it counts models, and one may leave while another comes
            limits["loads_in_flight"] = PLACES
            pool += GIB_OF_MODEL
        return {
            "group": {"tp": 2, "pp": 2},
            "device": {"kind": "cuda", "pool": f"{pool}GiB"},
            "arena": {"spill": "16GiB"},
            "profile": str(ROOT / "configs" / "profiles" / "h200-x4.yaml"),
            "limits": limits,
            "models": [{"name": "m", "synthetic": "opt-13b", "count": MODELS, "context": 2048}],
            **made,
        }

    def workload(self) -> dict[str, Any]:
        return {
            "duration": f"{SECONDS}s",
            "prompt": PROMPT,
            "output": OUTPUT if self.output == "chat" else ONE_TOKEN,
            "streams": [{"zipf": {"rate": self.rate, "skew": 1.0}}],
        }
