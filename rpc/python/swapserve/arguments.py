"""What callers pass: one that no server could take is a TypeError or a ValueError that names it.

What is of the right type and in the protocol's reach is the server's to judge.
"""

from __future__ import annotations

from numbers import Real
from operator import index
from reprlib import repr as brief
from typing import Any, Iterable, List, Optional

I64_MIN = -(1 << 63)
U64_MAX = (1 << 64) - 1
TOKEN_MAX = (1 << 31) - 1
SECONDS_MAX = 1e9

_BYTES = (bytes, bytearray, memoryview)


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name}: found {brief(value)}, want a str")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = value[error.start]
        raise ValueError(
            f"{name}: found {found!r} at {error.start}, want text without surrogates"
        ) from None
    return value


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name}: found {brief(value)}, want True or False")
    return value


def whole(name: str, value: Any, least: int = I64_MIN, most: int = U64_MAX) -> int:
    """VALUE, an int or what stands for one (numpy's); of 64 bits, as the wire has them."""
    try:
        if isinstance(value, bool):
            raise TypeError
        found = index(value)
    except TypeError:
        raise TypeError(f"{name}: found {brief(value)}, want an int") from None
    if not least <= found <= most:
        raise ValueError(f"{name}: found {found}, want {least} to {most}")
    return found


def number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: found {brief(value)}, want a number")
    try:
        found = float(value)
    except OverflowError:
        found = float("inf")
    if not abs(found) < float("inf"):
        raise ValueError(f"{name}: found {brief(value)}, want a finite number")
    return found


def seconds(name: str, value: Any) -> float:
    found = number(name, value)
    if abs(found) > SECONDS_MAX:
        raise ValueError(f"{name}: found {found:g}, want seconds, at most {SECONDS_MAX:g}")
    return found


def timeout(name: str, value: Any) -> Optional[float]:
    """None: no limit. One below 0 has passed."""
    return None if value is None else seconds(name, value)


def milliseconds(name: str, value: Any) -> int:
    """A time above 0, in seconds; rounded, but never to 0."""
    found = seconds(name, value)
    if found <= 0:
        raise ValueError(f"{name}: found {found:g}, want seconds above 0, or None for no limit")
    return max(1, round(found * 1000))


def token_ids(name: str, values: Any, want: str = "a sequence of ints") -> List[int]:
    if isinstance(values, (str, *_BYTES)) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: found {brief(values)}, want {want}")
    ids = list(values)
    if set(map(type, ids)) == {int} and 0 <= min(ids) and max(ids) <= TOKEN_MAX:
        return ids
    return [whole(f"{name}[{place}]", value, 0, TOKEN_MAX) for place, value in enumerate(ids)]


def texts(name: str, values: Any) -> List[str]:
    """Of a str or several."""
    if isinstance(values, str):
        return [text(name, values)]
    if isinstance(values, _BYTES) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: found {brief(values)}, want a str or a sequence of them")
    return [text(f"{name}[{place}]", value) for place, value in enumerate(values)]
