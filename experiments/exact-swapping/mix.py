"""The requests of the experiment: a random mix, the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    number: int
    due: float  # seconds from the start
    model: str
    tokens: list[int]
    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    seed: int
    ignore_eos: bool
    stop_token_ids: list[int]
    stream: bool
    cancel_after: int | None  # pieces after which the client cancels the stream

    def arguments(self) -> dict[str, Any]:
        """What the client is called with."""
        names = ("max_tokens", "temperature", "top_k", "top_p", "seed", "ignore_eos")
        chosen = {name: value for name, value in asdict(self).items() if name in names}
        return {**chosen, "stop_token_ids": self.stop_token_ids}


def make(models: dict[str, int], count: int, rate: float, seed: int) -> list[Request]:
    """COUNT requests to MODELS (name to vocabulary), RATE of them in a second, in bursts."""
    dice = random.Random(seed)
    names = list(models)
    requests, due = [], 0.0
    for number in range(count):
        model = dice.choice(names)
        sampled = dice.random() < 0.5
        length = dice.choice([1, 2, 5, 17, 40, 90, 150])
        stream = dice.random() < 0.4
        requests.append(
            Request(
                number=number,
                due=due,
                model=model,
                tokens=[dice.randrange(3, models[model]) for _ in range(length)],
                max_tokens=dice.choice([1, 2, 8, 20, 50, 90]),
                temperature=dice.choice([0.3, 0.8, 1.5]) if sampled else 0.0,
                top_k=dice.choice([0, 0, 5, 40]) if sampled else 0,
                top_p=dice.choice([1.0, 1.0, 0.9, 0.5]) if sampled else 1.0,
                seed=dice.randrange(1 << 32),
                ignore_eos=dice.random() < 0.5,
                stop_token_ids=[dice.randrange(3, 300) for _ in range(dice.choice([0, 0, 3]))],
                stream=stream,
                cancel_after=dice.randint(1, 10) if stream and dice.random() < 0.25 else None,
            )
        )
        due += dice.gammavariate(0.4, 1 / (0.4 * rate))
    return requests
