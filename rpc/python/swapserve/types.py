"""What the server answers, as plain data. Times are nanoseconds, sizes bytes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, List, Mapping, Type, TypeVar

T = TypeVar("T")


def build(kind: Type[T], values: Mapping[str, Any]) -> T:
    """KIND from a map of the wire: keys unknown here are ignored, absent ones keep defaults."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Timing:
    """Durations as the server saw them, from the request's arrival."""

    queue_ns: int = 0
    first_token_ns: int = 0
    total_ns: int = 0
    cold: bool = False  # the model was not wholly resident


@dataclass(frozen=True)
class Piece:
    """Some of a stream. Text comes in whole characters and may lag behind the tokens."""

    text: str
    tokens: List[int]


@dataclass(frozen=True)
class Result:
    """All that was generated, and why it ended: length, stop, eos or cancelled."""

    text: str
    tokens: List[int]
    finish_reason: str
    usage: Usage
    timing: Timing


@dataclass(frozen=True)
class Model:
    name: str
    family: str = ""
    state: str = "absent"  # absent, loading, partial, resident
    total_bytes: int = 0
    context_tokens: int = 0
    vocab_tokens: int = 0
    text: bool = False  # takes text prompts; else token ids only


@dataclass(frozen=True)
class ModelStatus:
    name: str
    family: str = ""
    state: str = "absent"
    total_bytes: int = 0  # over all ranks, as the next three
    resident_bytes: int = 0
    chunks: int = 0
    resident_chunks: int = 0
    queued: int = 0
    running: int = 0
    answered: int = 0
    loads: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class RankStatus:
    rank: int
    stage: int = 0
    tp: int = 0
    device: str = ""
    host: str = ""
    pool_bytes: int = 0
    pool_used_bytes: int = 0
    bytes_loaded: int = 0
    busy: float = 0.0


@dataclass(frozen=True)
class Status:
    version: str
    uptime_ns: int
    accepted: int
    answered: int
    refused: int
    queued: int
    running: int
    loads: int  # for requests and operators
    guesses: int  # further loads, of what was likely next; what follows is of both
    drops: int
    bytes_loaded: int
    bytes_copied_back: int
    load_ns: int
    hidden_ns: int  # the part of load_ns that no computation waited for
    draining: bool
    models: List[ModelStatus]
    ranks: List[RankStatus]
