"""Arrivals: which request comes when; and the CSV files that hold them.

The columns are `time_s,model,prompt_tokens,output_tokens,class`, in order of time. swapsim reads and
writes the same files, so that one list of arrivals can be run live and simulated.
"""

from __future__ import annotations

import csv
import os
import re
from dataclasses import dataclass, replace
from typing import Iterable, List, Optional, Union

COLUMNS = ["time_s", "model", "prompt_tokens", "output_tokens", "class"]
CLASSES = ("realtime", "normal", "batch")
TOKENS_MAX = 1 << 20
NS = 1_000_000_000

Path = Union[str, "os.PathLike[str]"]

_SECONDS = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


class LoadError(Exception):
    """A file or an option that cannot be used; the message names it and what would be right."""


@dataclass(frozen=True)
class Arrival:
    at_ns: int  # from the start
    model: str
    prompt_tokens: int
    output_tokens: int
    request_class: str = "normal"
    deadline_ns: int = 0  # after it; 0: none
    process: int = 0  # of the workload that it came from

    @property
    def time_s(self) -> float:
        return self.at_ns / NS


class Listed:
    """A list of arrivals, one after the other."""

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        self._rest = iter(arrivals)

    def next(self) -> Optional[Arrival]:
        return next(self._rest, None)

    def answered(self, process: int, now_ns: int, refused: bool) -> Optional[Arrival]:
        return None


def shift(arrivals: Iterable[Arrival], duration_ns: Optional[int], scale: float) -> List[Arrival]:
    """Those before DURATION_NS, then SCALE times as fast."""
    kept = [item for item in arrivals if duration_ns is None or item.at_ns < duration_ns]
    if scale == 1:
        return kept
    return [replace(item, at_ns=int(item.at_ns / scale)) for item in kept]


def write(path: Path, arrivals: Iterable[Arrival]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for item in arrivals:
            rows.writerow(
                [
                    f"{item.at_ns // NS}.{item.at_ns % NS:09d}",
                    item.model,
                    item.prompt_tokens,
                    item.output_tokens,
                    item.request_class,
                ]
            )


def read(path: Path) -> List[Arrival]:
    """The arrivals in the file PATH, checked."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return _read_rows(str(path), csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LoadError(f"{path}: {error}") from error


def seconds_to_ns(text: str) -> int:
    """"12.345678901" in nanoseconds; further digits are cut. ValueError where it is no time."""
    match = _SECONDS.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no time, expected seconds like 1.25")
    return int(match.group(1)) * NS + int(((match.group(2) or "") + "0" * 9)[:9])


def tokens(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > TOKENS_MAX:
        raise ValueError(f"{what} {text!r} is no number of tokens, expected 0 to {TOKENS_MAX}")
    return int(text)


def _read_rows(path: str, rows: Iterable[List[str]]) -> List[Arrival]:
    found: List[Arrival] = []
    header = False
    for line, row in enumerate(rows, 1):
        if not header:
            if row != COLUMNS:
                break
            header = True
            continue
        try:
            item = _read_row(row)
        except ValueError as error:
            raise LoadError(f"{path}:{line}: {error}") from error
        if found and item.at_ns < found[-1].at_ns:
            raise LoadError(f"{path}:{line}: a time before the last line's, expected their order")
        found.append(item)
    if not header:
        raise LoadError(f"{path}:1: another first line, expected {','.join(COLUMNS)}")
    return found


def _read_row(row: List[str]) -> Arrival:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} columns, expected {','.join(COLUMNS)}")
    if not row[1]:
        raise ValueError("model is no name")
    if row[4] not in CLASSES:
        raise ValueError(f"class {row[4]!r}, expected {', '.join(CLASSES)}")
    return Arrival(
        seconds_to_ns(row[0]),
        row[1],
        max(1, tokens(row[2], "prompt_tokens")),
        max(1, tokens(row[3], "output_tokens")),
        row[4],
    )
