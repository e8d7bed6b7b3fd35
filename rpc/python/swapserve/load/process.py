"""The arrivals of a workload, one after another: a port of engine/workload (draw.h says how its
random numbers are drawn; `draw` has them). The same workload, models and seed give the same arrivals
in both, which tests/integration/load_arrivals.py compares.
"""

from __future__ import annotations

import csv
import heapq
import math
from datetime import date
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from . import arrivals as lists
from . import draw
from .arrivals import NS, Arrival, LoadError
from .workload import Length, Stream, Workload

NEVER_S = 1e9
REFUSED_PAUSE_NS = 100_000_000  # who is refused asks again no sooner
AZURE = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]
ONE_PROCESS = ("cyclic", "turns", "trace", "replay")


def select(workload: Workload, stream: Stream, names: Sequence[str]) -> List[str]:
    """The stream's models among NAMES, in order."""
    found: List[str] = [] if stream.models else list(names)
    for pattern in stream.models:
        if pattern.endswith("*"):
            fitting = [name for name in names if name.startswith(pattern[:-1])]
        else:
            fitting = [name for name in names if name == pattern]
        if not fitting:
            raise LoadError(f"{workload.path}: models: found {pattern}, expected one of {names}")
        for name in fitting:
            if name in found:
                raise LoadError(f"{workload.path}: models: {name} is named twice")
            found.append(name)
    if stream.kind in ("gamma", "poisson") and len(stream.rates) not in (1, len(found)):
        raise LoadError(
            f"{workload.path}: found {len(stream.rates)} rates, expected one, or one for each of "
            f"{len(found)} models"
        )
    return found


def draw_length(length: Length, event: int) -> int:
    tokens = float(length.tokens)
    if length.tokens == 0:
        tokens = math.floor(length.median * math.exp(length.sigma * draw.normal(event, 0)) + 0.5)
    if length.max > 0 and tokens > length.max:
        tokens = length.max
    return max(1, int(min(tokens, (1 << 32) - 1)))


class Process:
    """One process: the state from which its next arrival follows."""

    def __init__(
        self, stream: Stream, models: List[str], index: int, number: int, seed: int
    ) -> None:
        self.stream = stream
        self.models = models
        self.model = index
        self.number = number
        self.seed = draw.process_seed(seed, number)
        self.rate = stream.rate
        self.at_s = stream.from_ns / 1e9
        self.gaps = self.index = self.state = self.dwells = 0
        if stream.kind in ("gamma", "poisson"):
            self.rate = stream.rates[index if len(stream.rates) > 1 else 0]
        if stream.kind == "zipf":
            total = 0.0
            for place in range(1, len(models) + 1):
                total += math.pow(float(place), -stream.skew)
            self.rate = stream.rate * math.pow(float(index) + 1, -stream.skew) / total
        if stream.kind == "mmpp":
            self._begin_mmpp()
        self._rows: Iterator[Arrival] = iter(())
        if stream.kind == "trace":
            self._rows = self._trace()
        if stream.kind == "replay":
            self._rows = self._replay()

    def _dwell_s(self) -> float:
        event = draw.event(self.seed, draw.DWELL, self.dwells)
        self.dwells += 1
        return self.stream.dwell_ns[self.state] / 1e9 * draw.exponential(event)

    def _begin_mmpp(self) -> None:
        lengths = [time / 1e9 for time in self.stream.dwell_ns]
        whole = 0.0
        for length in lengths:
            whole += length
        drawn = draw.unit(draw.event(self.seed, draw.STATE, 0), 0) * whole
        while self.state + 1 < len(lengths) and drawn >= lengths[self.state]:
            drawn -= lengths[self.state]
            self.state += 1
        self.dwell_end_s = self.at_s + self._dwell_s()

    def _gap_event(self) -> int:
        self.gaps += 1
        return draw.event(self.seed, draw.GAP, self.gaps - 1)

    def _advance_mmpp(self) -> None:
        while self.at_s < NEVER_S:
            rate = self.stream.rates[self.state]
            gap_s = draw.exponential(self._gap_event())
            if rate > 0 and self.at_s + gap_s / rate < self.dwell_end_s:
                self.at_s += gap_s / rate
                return
            self.at_s = self.dwell_end_s
            self.state = (self.state + 1) % len(self.stream.rates)
            self.dwell_end_s += self._dwell_s()

    def _advance(self) -> None:
        if self.stream.kind == "mmpp":
            self._advance_mmpp()
        elif not self.rate > 0:
            self.at_s = NEVER_S
        elif self.stream.kind == "poisson":
            self.at_s += draw.exponential(self._gap_event()) / self.rate
        else:
            self.at_s += draw.gap(self._gap_event(), self.rate, self.stream.cv)

    def _make(self, model: str, at_ns: int) -> Arrival:
        stream, index = self.stream, self.index
        self.index += 1
        return Arrival(
            at_ns,
            model,
            draw_length(stream.prompt, draw.event(self.seed, draw.PROMPT, index)),
            draw_length(stream.output, draw.event(self.seed, draw.OUTPUT, index)),
            stream.request_class,
            stream.deadline_ns,
            self.number,
        )

    def next(self) -> Optional[Arrival]:
        """The arrival after the latest; None: there is none. Not for turns."""
        if self.stream.kind in ("trace", "replay"):
            found = next(self._rows, None)
        else:
            self._advance()
            if self.at_s >= NEVER_S:
                return None
            cyclic = self.stream.kind == "cyclic"
            place = self.index % len(self.models) if cyclic else self.model
            found = self._make(self.models[place], int(self.at_s * 1e9))
        return None if found is None or found.at_ns >= self.stream.until_ns else found

    def turn(self, at_ns: int) -> Arrival:
        return self._make(self.models[self.index % len(self.models)], at_ns)

    def _cut(self, of: Arrival, model: str, prompt: int, output: int, kind: str) -> Arrival:
        def cut(tokens: int, most: int) -> int:
            return max(1, min(tokens, most) if most else tokens)

        return Arrival(
            of.at_ns, model, cut(prompt, self.stream.prompt.max),
            cut(output, self.stream.output.max), kind, of.deadline_ns, of.process,
        )  # fmt: skip

    def _row_ns(self, at_ns: int) -> int:
        """When a row of AT_NS comes."""
        if self.stream.speed == 1:
            return self.stream.from_ns + at_ns
        return int(float(self.stream.from_ns) + float(at_ns) / self.stream.speed)

    def _trace(self) -> Iterator[Arrival]:
        """Rows of an Azure trace; they go to models by their shares."""
        shares: List[float] = []
        total = 0.0
        for place in range(len(self.models)):
            total += math.pow(float(place) + 1, -self.stream.skew)
            shares.append(total)
        shares = [share / total for share in shares]
        for row_ns, prompt, output in read_azure(self.stream.csv):
            at_ns = self._row_ns(row_ns)
            drawn = draw.unit(draw.event(self.seed, draw.MODEL, self.index), 0)
            place = next(
                (i for i, share in enumerate(shares[:-1]) if drawn < share), len(shares) - 1
            )
            made = self._make(self.models[place], at_ns)
            yield self._cut(made, made.model, prompt, output, made.request_class)

    def _replay(self) -> Iterator[Arrival]:
        for row in lists.read(self.stream.csv):
            made = self._make(self.models[0], self._row_ns(row.at_ns))
            yield self._cut(
                made, row.model, row.prompt_tokens, row.output_tokens, row.request_class
            )


def parse_timestamp(text: str) -> int:
    """"2023-11-16 18:15:46.6805900", maybe with "+00:00" behind it, in nanoseconds since 1970."""
    try:
        text = text.removesuffix("+00:00").removesuffix("Z")
        day = date.fromisoformat(text[:10])
        hour, minute, second = text[11:].split(":")
        if text[10] not in " T" or not 1970 <= day.year <= 2200:
            raise ValueError
        minutes = (day.toordinal() - date(1970, 1, 1).toordinal()) * 1440
        minutes += int(hour) * 60 + int(minute)
        return minutes * 60 * NS + lists.seconds_to_ns(second)
    except (ValueError, IndexError):
        raise ValueError(
            f"{text!r} is no time, expected TIMESTAMP like 2023-11-16 18:15:46.6805900"
        ) from None


def read_azure(path: str) -> Iterator[Tuple[int, int, int]]:
    """(ns since the first row, prompt tokens, output tokens) of each row of an Azure LLM inference
    trace."""
    first: Optional[int] = None
    last = 0
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            for line, row in enumerate(csv.reader(file), 1):
                if line == 1:
                    if row != AZURE:
                        raise LoadError(f"{path}:1: expected the header {','.join(AZURE)}")
                    continue
                try:
                    if len(row) != 3:
                        raise ValueError(f"{len(row)} columns, expected {','.join(AZURE)}")
                    at_ns = parse_timestamp(row[0])
                    counts = [lists.tokens(text, name) for text, name in zip(row[1:], AZURE[1:])]
                except ValueError as error:
                    raise LoadError(f"{path}:{line}: {error}") from error
                if at_ns < last:
                    raise LoadError(f"{path}:{line}: a time before the last line's")
                first = at_ns if first is None else first
                last = at_ns
                yield at_ns - first, counts[0], counts[1]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LoadError(f"{path}: {error}") from error


class Arrivals:
    """The arrivals of WORKLOAD for models NAMES, in order of time, those of one time by process."""

    def __init__(self, workload: Workload, names: Sequence[str], seed: int) -> None:
        self._workload = workload
        self._given = 0
        self._heap: List[Tuple[int, int, int, Arrival]] = []
        self._pushed = 0
        self._processes: Dict[int, Process] = {}
        for stream in workload.streams:
            models = select(workload, stream, names)
            count = 1 if stream.kind in ONE_PROCESS else len(models)
            for index in range(count):
                number = len(self._processes)
                process = Process(stream, models, index, number, seed)
                self._processes[number] = process
                if stream.kind == "turns":
                    for _ in range(stream.clients):
                        self._push(process.turn(stream.from_ns))
                else:
                    self._push(process.next())

    def _push(self, arrival: Optional[Arrival]) -> None:
        if arrival is not None:
            self._pushed += 1
            entry = (arrival.at_ns, arrival.process, self._pushed, arrival)
            heapq.heappush(self._heap, entry)

    def _is_over(self, at_ns: int) -> bool:
        workload = self._workload
        late = workload.duration_ns > 0 and at_ns >= workload.duration_ns
        return late or (workload.requests > 0 and self._given == workload.requests)

    def next(self) -> Optional[Arrival]:
        """The next arrival; None: no more, or (closed loops) none before an answer."""
        if not self._heap or self._is_over(self._heap[0][0]):
            return None
        first = heapq.heappop(self._heap)[3]
        process = self._processes[first.process]
        if process.stream.kind != "turns":
            self._push(process.next())
        self._given += 1
        return first

    def answered(self, process: int, now_ns: int, refused: bool) -> Optional[Arrival]:
        """What a closed loop asks next when a request of PROCESS was answered, or REFUSED."""
        of = self._processes[process]
        at_ns = now_ns + max(of.stream.think_ns, REFUSED_PAUSE_NS if refused else 0)
        if of.stream.kind != "turns" or at_ns >= of.stream.until_ns or self._is_over(at_ns):
            return None
        self._given += 1
        return of.turn(at_ns)
