"""Quantities as the files write them: 250ms, 512MiB, 10GB/s. The units are those of the server's
configuration (engine/config/units.h)."""

from __future__ import annotations

import re
from typing import Dict, Union

TIMES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
SIZES = {"B": 1.0}
SIZES.update({letter + "B": 1e3**power for power, letter in enumerate("KMGT", 1)})
SIZES.update({letter + "iB": 1024.0**power for power, letter in enumerate("KMGT", 1)})
RATES = {unit + "/s": factor for unit, factor in SIZES.items()}
FLOPS = {letter + "FLOP/s": 1e3**power for power, letter in enumerate(["", *"KMGTP"])}

_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?) *(\S*)")


def parse(value: Union[str, int, float], units: Dict[str, float]) -> float:
    """VALUE in seconds, bytes, bytes or operations per second. ValueError where it is none."""
    match = _NUMBER.fullmatch(str(value).strip())
    if match and match.group(2) in units:
        return float(match.group(1)) * units[match.group(2)]
    if match and not match.group(2) and float(match.group(1)) == 0:
        return 0.0
    raise ValueError(f"found {value!r}, expected a number and one of {', '.join(units)}")
