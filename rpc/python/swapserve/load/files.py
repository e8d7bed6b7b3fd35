"""The files that come out of a run: tried before it, so that none is run in vain; after it, one that
cannot be written costs no other."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable

from .arrivals import LoadError


def make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise LoadError(f"{path}: cannot be made: {error.strerror}") from error


def try_path(path: str) -> None:
    """LoadError unless a file PATH can be written. What is there stays as it is; what is no file (a
    pipe, a device) is not touched."""
    there = os.path.exists(path)
    if there and not os.path.isfile(path) and not os.path.isdir(path):
        return
    try:
        with open(path, "ab"):
            pass
        if not there:
            os.remove(path)  # a run that fails leaves no empty file
    except OSError as error:
        raise LoadError(f"{path}: cannot be written: {error.strerror}") from error


def write(path: str, writer: Callable[[str, Any], None], content: Any) -> bool:
    """Whether WRITER could put CONTENT into PATH; says so if not."""
    try:
        writer(path, content)
    except OSError as error:
        _complain(path, error)
        return False
    return True


def say(text: str) -> bool:
    """Whether TEXT could be printed."""
    try:
        print(text, flush=True)
    except OSError as error:
        # Python would try again, and fail again, when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _complain("standard output", error)
        return False
    return True


def _complain(path: str, error: OSError) -> None:
    print(f"swapserve.load: {path}: cannot be written: {error.strerror}", file=sys.stderr)
