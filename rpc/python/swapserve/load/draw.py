"""Random draws of a workload: the same numbers as engine/workload/draw.h, in the same arithmetic, so
that a workload file and a seed give the same arrivals here and in swapsim. See there for how draws
are numbered.
"""

from __future__ import annotations

import math

GAP, PROMPT, OUTPUT, MODEL, DWELL, STATE = range(6)

_MASK = (1 << 64) - 1
_WEYL = 0x9E3779B97F4A7C15


def random_u64(seed: int, index: int) -> int:
    """64 well-mixed bits of (SEED, INDEX): engine/base/random.h."""
    z = (seed + _WEYL * (index + 1)) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def unit(seed: int, index: int) -> float:
    """Uniform in [0, 1), 53 bits."""
    return float(random_u64(seed, index) >> 11) * 2.0**-53


def process_seed(seed: int, process: int) -> int:
    return random_u64(seed, process)


def event(process: int, purpose: int, index: int) -> int:
    """The seed of draw INDEX of that PURPOSE in the process whose seed is PROCESS."""
    return random_u64(process, (8 * index + purpose) & _MASK)


def open_unit(seed: int, number: int) -> float:
    """Uniform in (0, 1], so that its logarithm is finite."""
    return 1.0 - unit(seed, number)


def exponential(seed: int) -> float:
    """Mean 1."""
    return -math.log(open_unit(seed, 0))


def normal(seed: int, number: int) -> float:
    """Mean 0, deviation 1; takes NUMBER and the next."""
    radius = math.sqrt(-2.0 * math.log(open_unit(seed, number)))
    return radius * math.cos(2.0 * math.pi * unit(seed, number + 1))


def gamma(seed: int, shape: float) -> float:
    """Scale 1; Marsaglia and Tsang."""
    boost = math.pow(open_unit(seed, 0), 1.0 / shape) if shape < 1.0 else 1.0
    d = (shape + 1.0 if shape < 1.0 else shape) - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    number = 1
    while True:
        x = normal(seed, number)
        base = 1.0 + c * x
        if base > 0.0:
            v = base * base * base
            limit = 0.5 * x * x + d - d * v + d * math.log(v)
            if math.log(open_unit(seed, number + 2)) < limit:
                return d * v * boost
        number += 3


def gap(seed: int, rate: float, cv: float) -> float:
    """Seconds to the next arrival of a renewal process with gamma gaps."""
    if cv == 0.0:
        return 1.0 / rate
    square = cv * cv
    return gamma(seed, 1.0 / square) * square / rate
