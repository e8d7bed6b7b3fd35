"""What drops move: nothing, and with `emulate.copy_back` all that is dropped. Counted, not timed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from experiments.server import ROOT, Server

MODELS = ["opt-tiny", "llama-tiny", "qwen2-tiny"]


@dataclass(frozen=True)
class Case:
    copy_back: bool
    turns: int = 100
    tp: int = 2
    pp: int = 2

    @property
    def name(self) -> str:
        return "emulate.copy_back" if self.copy_back else "drops"

    def config(self) -> dict[str, Any]:
        folder = ROOT / "tests" / "golden" / "models"
        return {
            "group": {"tp": self.tp, "pp": self.pp},
            "device": {"kind": "cpu", "pool": "3MiB", "page": "16KiB", "piece": "64KiB"},
            "emulate": {"copy_back": self.copy_back},
            "models": [{"name": name, "path": str(folder / name)} for name in MODELS],
        }


def measure(case: Case) -> dict[str, Any]:
    """Requests to models in random order with room for two; then every model is dropped."""
    dice = random.Random(1)
    with Server(case.config(), case.tp * case.pp) as server, server.client() as client:
        for _ in range(case.turns):
            client.generate(dice.choice(MODELS), [2, 100, 200], max_tokens=2)
            if dice.random() < 0.2:
                client.drop(dice.choice(MODELS))
        for model in MODELS:
            client.drop(model)
        status = client.status()
        if server.drain() != 0:
            raise RuntimeError(f"the server ended with {server.exit_code}:\n{server.tail()}")
    left = sum(model.resident_bytes for model in status.models)
    expected = status.bytes_loaded if case.copy_back else 0
    return {
        "case": case.name,
        "loads": status.loads,
        "drops": status.drops,
        "bytes_loaded": status.bytes_loaded,
        "bytes_resident_at_the_end": left,
        "bytes_copied_back": status.bytes_copied_back,
        "met": left == 0 and status.drops > 0 and status.bytes_copied_back == expected,
    }
