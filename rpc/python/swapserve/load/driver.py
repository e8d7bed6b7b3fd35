"""Sends requests to a live server at their times, whatever the answers do.

In an open loop a request is sent when it arrives, never when an earlier one is answered, and its
latency counts from its intended arrival: a driver or a server that falls behind makes the figures
worse, not rarer. Only the turns of a closed loop wait for an answer, which is what they are for.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from dataclasses import dataclass, field
from typing import Any, Coroutine, Dict, List, Optional, Protocol, Set, TypeVar

from swapserve import AsyncClient, Error, Status

from .arrivals import NS, Arrival, LoadError

T = TypeVar("T")

POOL_TOKENS = 1 << 16
FIRST_TOKEN_ID = 4  # what is below is padding and the like in most vocabularies
LEAD_S = 0.1  # until time 0
BEHIND_MAX_S = 60.0  # a driver that is this late cannot offer the load it was asked for


class Source(Protocol):
    """Where arrivals come from: see process.Arrivals and arrivals.Listed."""

    def next(self) -> Optional[Arrival]: ...

    def answered(self, process: int, now_ns: int, refused: bool) -> Optional[Arrival]: ...


@dataclass
class Outcome:
    """What became of a request; times are seconds from the start, None where there is none."""

    arrival: Arrival
    sent_s: float
    first_s: Optional[float] = None
    end_s: Optional[float] = None
    tokens: int = 0
    reason: str = ""  # length, eos, ...; or the code of the error
    cold: bool = False
    queue_s: float = 0.0  # as the server says
    tokens_s: List[float] = field(default_factory=list)  # of a stream: when each came

    @property
    def answered(self) -> bool:
        return self.end_s is not None and self.reason in ("length", "stop", "eos")

    @property
    def latency_s(self) -> Optional[float]:
        return None if self.end_s is None else self.end_s - self.arrival.time_s

    @property
    def late_s(self) -> float:
        """How long after its intended arrival it was sent."""
        return self.sent_s - self.arrival.time_s

    @property
    def gaps_s(self) -> List[float]:
        """The times from token to token."""
        return [after - before for before, after in zip(self.tokens_s, self.tokens_s[1:])]

    @property
    def first_token_s(self) -> Optional[float]:
        return None if self.first_s is None else self.first_s - self.arrival.time_s


@dataclass
class Run:
    """All outcomes, and the server's own counts before and after (None: it is gone)."""

    outcomes: List[Outcome]
    before: Status
    after: Optional[Status]
    seconds: float  # from the start to the last answer
    interrupted: bool = False
    cut: int = 0  # requests that were on their way then; not among OUTCOMES


class Prompts:
    """Random token ids: slices of one long row for each size of vocabulary."""

    def __init__(self, vocabularies: Dict[str, int], seed: int) -> None:
        self._dice = random.Random(seed)
        self._sizes = {
            model: max(size, FIRST_TOKEN_ID + 1) for model, size in vocabularies.items()
        }
        self._rows = {size: self._make_row(size) for size in set(self._sizes.values())}

    @staticmethod
    def _make_row(size: int) -> List[int]:
        dice = random.Random(size)
        return [dice.randrange(FIRST_TOKEN_ID, size) for _ in range(POOL_TOKENS)]

    def make(self, model: str, tokens: int) -> List[int]:
        row = self._rows[self._sizes[model]]
        made: List[int] = []
        while len(made) < tokens:
            start = self._dice.randrange(POOL_TOKENS)
            made += row[start : start + tokens - len(made)]
        return made


class Driver:
    """One connection's load. run() may be called once."""

    def __init__(
        self,
        client: AsyncClient,
        vocabularies: Dict[str, int],
        *,
        seed: int = 0,
        stream: bool = True,
        timeout: Optional[float] = None,
    ) -> None:
        self._client = client
        self._prompts = Prompts(vocabularies, seed)
        self._stream = stream
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._tasks: Set["asyncio.Task[None]"] = set()
        self._offering: Optional["asyncio.Task[None]"] = None
        self.outcomes: List[Outcome] = []
        self.answered = 0
        self.stopped = False
        self.cut = 0

    def now(self) -> float:
        return self._loop.time() - self._start

    @property
    def in_flight(self) -> int:
        return len(self.outcomes) - self.answered

    async def run(self, source: Source) -> None:
        """Every request at its own time; returns when all are answered, or after stop()."""
        self._start = self._loop.time() + LEAD_S
        self._offering = self._loop.create_task(self._offer(source))
        try:
            await asyncio.wait([self._offering])
            if not self._offering.cancelled():
                self._offering.result()
        finally:
            self._offering.cancel()
            for task in self._tasks:
                task.cancel()
            if self._tasks:  # each takes its request back from the server
                await asyncio.wait(self._tasks)
            self.cut = sum(1 for item in self.outcomes if not item.reason)
            self.outcomes = [item for item in self.outcomes if item.reason]

    def stop(self) -> None:
        """Sends no more, and gives up what is on its way."""
        self.stopped = True
        if self._offering:
            self._offering.cancel()

    async def _offer(self, source: Source) -> None:
        for arrival in iter(source.next, None):
            prompt = self._prompts.make(arrival.model, arrival.prompt_tokens)
            # Even when late, the answers that have come must be read.
            await asyncio.sleep(max(0.0, arrival.time_s - self.now()))
            if self.now() - arrival.time_s > BEHIND_MAX_S:
                raise LoadError(
                    f"this program is {BEHIND_MAX_S:g} s behind at {arrival.time_s:.1f} s: it "
                    "cannot offer this load; lower the rate, or split it between programs"
                )
            task = self._loop.create_task(self._follow(source, arrival, prompt))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _follow(self, source: Source, arrival: Arrival, prompt: List[int]) -> None:
        """One request; and where it is a turn of a closed loop, those that follow it."""
        outcome = await self._ask(arrival, prompt)
        while True:
            after = source.answered(arrival.process, round(self.now() * NS), not outcome.answered)
            if after is None:
                return
            arrival = after
            prompt = self._prompts.make(arrival.model, arrival.prompt_tokens)
            await asyncio.sleep(max(0.0, arrival.time_s - self.now()))
            outcome = await self._ask(arrival, prompt)

    async def _ask(self, arrival: Arrival, prompt: List[int]) -> Outcome:
        outcome = Outcome(arrival, self.now())
        self.outcomes.append(outcome)
        try:
            await self._converse(outcome, prompt)
        except Error as error:
            outcome.end_s = self.now()
            outcome.reason = error.code
        self.answered += 1
        return outcome

    async def _converse(self, outcome: Outcome, prompt: List[int]) -> None:
        arrival = outcome.arrival
        options = {
            "max_tokens": arrival.output_tokens,
            "ignore_eos": True,
            "request_class": arrival.request_class,
            "deadline": arrival.deadline_ns / NS or None,
            "timeout": self._timeout,
        }
        if self._stream and arrival.output_tokens > 1:
            stream = self._client.stream(arrival.model, prompt, **options)
            async for piece in stream:
                now = self.now()
                if outcome.first_s is None:
                    outcome.first_s = now
                outcome.tokens_s += [now] * len(piece.tokens)
            result = stream.result
        else:
            result = await self._client.generate(arrival.model, prompt, **options)
        outcome.end_s = self.now()
        assert result is not None
        if outcome.first_s is None and result.usage.completion_tokens > 0:
            # It came whole: the server's own clock says how long before the end the first one was.
            before = max(0, result.timing.total_ns - result.timing.first_token_ns) / 1e9
            outcome.first_s = outcome.end_s - before
        outcome.tokens = result.usage.completion_tokens
        outcome.reason = result.finish_reason
        outcome.cold = result.timing.cold
        outcome.queue_s = result.timing.queue_ns / 1e9


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """asyncio.run() on a loop that sleeps to the microsecond: epoll's timeouts are in milliseconds."""
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    asyncio.set_event_loop(loop)
    task = loop.create_task(main)
    try:
        return loop.run_until_complete(task)
    except KeyboardInterrupt:
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        raise
    finally:
        asyncio.set_event_loop(None)
        loop.close()
