"""Workload files: who asks for what, when (configs/workloads/README.md lists the keys).

What is read here is what engine/workload/workload.h describes; `process` makes its arrivals. A file
that swapsim takes is taken here, and swapsim's messages about one that is wrong are the better ones.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence

from . import units
from .arrivals import CLASSES, NS, LoadError, Path

KINDS = ("gamma", "poisson", "mmpp", "zipf", "cyclic", "turns", "trace", "replay")
LENGTH = ("tokens", "median", "sigma", "max")
FILE_KEYS = ("duration", "requests", "prompt", "output", "class", "deadline", "streams")
STREAM_KEYS = ("models", *KINDS, "prompt", "output", "class", "deadline", "from", "until")
KIND_KEYS: Dict[str, Sequence[str]] = {
    "gamma": ("rate", "cv"),
    "poisson": ("rate",),
    "mmpp": ("rates", "dwell"),
    "zipf": ("rate", "skew", "cv"),
    "cyclic": ("rate", "cv"),
    "turns": ("clients", "think"),
    "trace": ("csv", "skew", "speed"),
    "replay": ("csv",),
}
NEEDED = {
    "gamma": "rate", "poisson": "rate", "mmpp": "rates", "zipf": "rate", "cyclic": "rate",
    "turns": "clients", "trace": "csv", "replay": "csv",
}  # fmt: skip


@dataclass(frozen=True)
class Length:
    """Tokens of a prompt or an answer: TOKENS, or (0) lognormal around MEDIAN; at most MAX."""

    tokens: int = 0
    median: float = 0.0
    sigma: float = 1.0
    max: int = 0  # 0: no limit


@dataclass
class Stream:
    kind: str
    models: List[str] = field(default_factory=list)  # names, or "prefix*"; none: all
    rates: List[float] = field(default_factory=list)
    cv: float = 1.0
    dwell_ns: List[int] = field(default_factory=list)
    rate: float = 0.0
    skew: float = 0.0
    clients: int = 0
    think_ns: int = 0
    csv: str = ""
    speed: float = 1.0
    prompt: Length = Length()
    output: Length = Length()
    request_class: str = "normal"
    deadline_ns: int = 0
    from_ns: int = 0
    until_ns: int = (1 << 64) - 1


@dataclass
class Workload:
    path: str
    duration_ns: int  # 0: until REQUESTS
    requests: int  # 0: until DURATION
    streams: List[Stream]

    @property
    def closed(self) -> bool:
        """Some requests wait for the answers to earlier ones."""
        return any(stream.kind == "turns" for stream in self.streams)

    def scale(self, factor: float) -> None:
        """FACTOR times every rate; a trace and a replay run so much faster."""
        for stream in self.streams:
            stream.rates = [rate * factor for rate in stream.rates]
            stream.rate *= factor
            stream.speed *= factor

    def set_cv(self, cv: float) -> None:
        """The burstiness of every gamma, zipf and cyclic stream."""
        for stream in self.streams:
            stream.cv = cv


def read(path: Path) -> Workload:
    try:
        import yaml
    except ImportError:
        raise LoadError(
            "workload files need PyYAML: pip install 'swapserve[load]', or give a list of arrivals"
        ) from None
    try:
        with open(path, encoding="utf-8") as file:
            # All texts: numbers and quantities are read by what is expected at their place.
            content = yaml.load(file, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LoadError(f"{path}: {error}") from error
    try:
        return _Reader(str(path)).workload(content)
    except ValueError as error:
        raise LoadError(f"{path}: {error}") from error


def _map(value: Any, where: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: found {value!r}, expected a map of {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise ValueError(f"{where}: {key}: unknown, expected one of {', '.join(keys)}")
    return value


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]


def _real(value: Any, where: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found < float("inf"):
        raise ValueError(f"{where}: found {value!r}, expected a number, 0 or more")
    return found


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, str) or not value.isdigit():
        raise ValueError(f"{where}: found {value!r}, expected a whole number")
    return int(value)


def _time_ns(value: Any, where: str) -> int:
    try:
        return round(units.parse(value, units.TIMES) * NS)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _class(value: str, where: str) -> str:
    if value not in CLASSES:
        raise ValueError(f"{where}: found {value!r}, expected {', '.join(CLASSES)}")
    return value


def _length(content: Mapping[str, Any], key: str, where: str) -> Length:
    found = _map(content.get(key, {}), f"{where}{key}", LENGTH)
    return Length(
        _whole(found.get("tokens", "0"), f"{where}{key}.tokens"),
        _real(found.get("median", "0"), f"{where}{key}.median"),
        _real(found.get("sigma", "1"), f"{where}{key}.sigma"),
        _whole(found.get("max", "0"), f"{where}{key}.max"),
    )


def _settle(own: Length, whole: Length, fallback: int) -> Length:
    of = own if own.tokens or own.median else whole
    tokens = of.tokens if of.tokens or of.median else fallback
    return Length(tokens, of.median, of.sigma, own.max or whole.max)


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = os.path.dirname(os.path.abspath(path))

    def workload(self, content: Any) -> Workload:
        file = _map(content, "the file", FILE_KEYS)
        made = Workload(
            self.path,
            _time_ns(file.get("duration", "0"), "duration"),
            _whole(file.get("requests", "0"), "requests"),
            [],
        )
        for index, item in enumerate(_list(file.get("streams", []))):
            made.streams.append(self.stream(file, item, f"streams[{index}]"))
        if not made.streams:
            raise ValueError("streams: found none")
        endless = not made.duration_ns and not made.requests
        if endless and any(stream.kind not in ("trace", "replay") for stream in made.streams):
            raise ValueError("duration: found neither duration nor requests, expected one of them")
        return made

    def stream(self, file: Mapping[str, Any], item: Any, where: str) -> Stream:
        content = _map(item, where, STREAM_KEYS)
        kinds = [kind for kind in KINDS if kind in content]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "no arrivals"
            raise ValueError(f"{where}: found {found}, expected one of: {', '.join(KINDS)}")
        made = Stream(kinds[0], models=_list(content.get("models", [])))
        self.arrivals(made, content[kinds[0]], f"{where}.{kinds[0]}")
        prompt, output = (_length(content, key, where + ".") for key in ("prompt", "output"))
        made.prompt = _settle(prompt, _length(file, "prompt", ""), 8)
        made.output = _settle(output, _length(file, "output", ""), 1)
        made.request_class = _class(
            content.get("class", file.get("class", "normal")), f"{where}.class"
        )
        deadline = content.get("deadline", file.get("deadline", "0"))
        made.deadline_ns = _time_ns(deadline, f"{where}.deadline")
        made.from_ns = _time_ns(content.get("from", "0"), f"{where}.from")
        made.until_ns = _time_ns(content.get("until", "0"), f"{where}.until") or made.until_ns
        return made

    def arrivals(self, made: Stream, value: Any, where: str) -> None:
        content = _map(value, where, KIND_KEYS[made.kind])
        needed = NEEDED[made.kind]
        if needed not in content:
            raise ValueError(f"{where}.{needed}: found nothing")
        many = "rates" if made.kind == "mmpp" else "rate"
        if made.kind in ("gamma", "poisson", "mmpp"):
            made.rates = [_real(item, f"{where}.{many}") for item in _list(content[many])]
        elif "rate" in content:
            made.rate = _real(content["rate"], f"{where}.rate")
        if needed in ("rate", "rates") and not any(made.rates) and not made.rate:
            raise ValueError(f"{where}.{needed}: found 0, expected a number above it")
        made.cv = _real(content.get("cv", "0" if made.kind == "cyclic" else "1"), f"{where}.cv")
        made.skew = _real(content.get("skew", "1" if made.kind == "zipf" else "0"), f"{where}.skew")
        made.dwell_ns = [
            _time_ns(item, f"{where}.dwell") for item in _list(content.get("dwell", []))
        ]
        if made.kind == "mmpp" and (len(made.dwell_ns) != len(made.rates) or 0 in made.dwell_ns):
            raise ValueError(f"{where}.dwell: expected a time above 0 for each of the rates")
        if made.kind == "turns":
            made.clients = _whole(content["clients"], f"{where}.clients")
            made.think_ns = _time_ns(content.get("think", "0"), f"{where}.think")
        made.speed = _real(content.get("speed", "1"), f"{where}.speed")
        if made.speed == 0:
            raise ValueError(f"{where}.speed: found 0, expected a number above it")
        if "csv" in content:
            made.csv = os.path.join(self.folder, str(content["csv"]))
