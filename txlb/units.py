"""Durations as people write them."""

from __future__ import annotations

import math
import re
import sys
from typing import NewType

Seconds = NewType("Seconds", float)
"""A duration. As the type of an option it accepts `250ms`, `2s`, `5m`, `1h` or a number of seconds."""

_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", re.ASCII)


def parse_duration(value: object) -> Seconds:
    """Seconds from `250ms`, `2s`, `5m`, `1h` or a finite number of 0 or more; raises ValueError otherwise."""
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        seconds = float(match[1]) * _FACTORS[match[2]]
    if 0 <= seconds <= sys.float_info.max:  # an integer may be too large for a float
        return Seconds(float(seconds))
    raise ValueError(f"must be a duration such as 250ms, 2s, 5m or 1h, not {value!r}")


def format_duration(seconds: float) -> str:
    """The shortest way to write a duration, to the microsecond: 0.25 is `250ms`, 90 is `90s`, 3600 is `1h`."""
    if seconds and seconds % 3600 == 0:
        return f"{_shortest(seconds / 3600)}h"
    if seconds >= 120 and seconds % 60 == 0:
        return f"{_shortest(seconds / 60)}m"
    return f"{_shortest(seconds)}s" if seconds >= 1 or not seconds else f"{_shortest(seconds * 1000)}ms"


def _shortest(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
