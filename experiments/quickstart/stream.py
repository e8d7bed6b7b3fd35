"""An open stream of requests: they are sent when they are due, whatever became of earlier ones."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from swapserve import AsyncClient, Error, Result

BURSTINESS = 0.4  # shape of the gamma distribution of the gaps; 1 is a Poisson stream


@dataclass(frozen=True)
class Request:
    due: float  # seconds from the start
    model: str
    prompt: str
    max_tokens: int
    temperature: float
    seed: int


@dataclass
class Answer:
    request: Request
    latency: float = 0.0  # seconds from when it was due
    first_token: float = 0.0
    result: Result | None = None
    error: Error | None = None


@dataclass
class Plan:
    """Each model gets a stream of its own, bursts and lulls, so that they take turns."""

    requests: list[Request] = field(default_factory=list)

    @classmethod
    def make(cls, prompts: dict[str, list[str]], count: int, rate: float, seed: int) -> "Plan":
        dice = random.Random(seed)
        requests = []
        for index, (model, texts) in enumerate(prompts.items()):
            share = count // len(prompts) + (index < count % len(prompts))
            gap = len(prompts) / rate
            due = 0.0
            for number in range(share):
                sampled = number % 3 == 2
                requests.append(
                    Request(
                        due=due,
                        model=model,
                        prompt=texts[number % len(texts)],
                        max_tokens=dice.randint(32, 64),
                        temperature=0.8 if sampled else 0.0,
                        seed=dice.randrange(1 << 32),
                    )
                )
                due += dice.gammavariate(BURSTINESS, gap / BURSTINESS)
        return cls(sorted(requests, key=lambda request: request.due))


async def _ask(client: AsyncClient, request: Request, start: float) -> Answer:
    answer = Answer(request)
    due = start + request.due
    await asyncio.sleep(max(0.0, due - time.monotonic()))
    stream = client.stream(
        request.model,
        request.prompt,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        seed=request.seed,
        timeout=60,
    )
    try:
        async for _ in stream:
            answer.first_token = answer.first_token or time.monotonic() - due
        answer.result = stream.result
    except Error as error:
        answer.error = error
    answer.latency = time.monotonic() - due
    return answer


async def send(endpoint: str, plan: Plan, on_answer: Callable[[Answer], None]) -> list[Answer]:
    """Sends the plan's requests; ON_ANSWER sees each answer as it is complete."""
    async with AsyncClient(endpoint) as client:
        await client.status()
        start = time.monotonic()
        answers = []
        tasks = [asyncio.create_task(_ask(client, item, start)) for item in plan.requests]
        for task in asyncio.as_completed(tasks):
            answers.append(await task)
            on_answer(answers[-1])
        return answers
