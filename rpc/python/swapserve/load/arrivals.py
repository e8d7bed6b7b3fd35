"""Arrivals: which request comes when; and the CSV files that hold them.

The columns are `time_s,model,prompt_tokens,output_tokens,class`, in order of time. swapsim reads and
writes the same files, so that one list of arrivals can be run live and simulated.
"""

from __future__ import annotations

import csv
import math
import os
from dataclasses import dataclass
from typing import Iterable, List, Union

COLUMNS = ["time_s", "model", "prompt_tokens", "output_tokens", "class"]
CLASSES = ("realtime", "normal", "batch")

Path = Union[str, "os.PathLike[str]"]


class LoadError(Exception):
    """A file or an option that cannot be used; the message names it and what would be right."""


@dataclass(frozen=True)
class Arrival:
    time_s: float  # from the start
    model: str
    prompt_tokens: int
    output_tokens: int
    request_class: str = "normal"


def write(path: Path, arrivals: Iterable[Arrival]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for item in arrivals:
            rows.writerow(
                [
                    f"{item.time_s:.9f}",
                    item.model,
                    item.prompt_tokens,
                    item.output_tokens,
                    item.request_class,
                ]
            )


def read(path: Path) -> List[Arrival]:
    """The arrivals in the file PATH, checked."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return _read_rows(str(path), csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LoadError(f"{path}: {error}") from error


def _read_rows(path: str, rows: Iterable[List[str]]) -> List[Arrival]:
    found: List[Arrival] = []
    for line, row in enumerate(rows, 1):
        if line == 1:
            if row != COLUMNS:
                raise LoadError(f"{path}:1: found {','.join(row)}, want {','.join(COLUMNS)}")
            continue
        try:
            item = _read_row(row)
        except ValueError as error:
            raise LoadError(f"{path}:{line}: {error}") from error
        if found and item.time_s < found[-1].time_s:
            raise LoadError(
                f"{path}:{line}: time_s {item.time_s:g} follows {found[-1].time_s:g}; want an "
                "order of time"
            )
        found.append(item)
    return found


def _read_row(row: List[str]) -> Arrival:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} fields, want {len(COLUMNS)}: {','.join(COLUMNS)}")
    time_s = float(row[0])
    if not math.isfinite(time_s) or time_s < 0:
        raise ValueError(f"time_s {row[0]!r}, want seconds from the start")
    if not row[1]:
        raise ValueError("no model")
    counts = [int(text) for text in row[2:4]]
    for name, count in zip(COLUMNS[2:4], counts):
        if count < 1:
            raise ValueError(f"{name} {count}, want at least 1")
    if row[4] not in CLASSES:
        raise ValueError(f"class {row[4]!r}, want {', '.join(CLASSES)}")
    return Arrival(time_s, row[1], counts[0], counts[1], row[4])
