"""Durations as people write them."""

from __future__ import annotations

import math
import re
from typing import NewType

Seconds = NewType("Seconds", float)
"""A duration. As the type of an option it accepts `250ms`, `2s`, `5m`, `1h` or a number of seconds."""

_FACTORS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", re.ASCII)


def parse_duration(value: object) -> Seconds:
    """Seconds from `250ms`, `2s`, `5m`, `1h` or a finite number of 0 or more; raises ValueError otherwise."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value) and value >= 0:
            return Seconds(float(value))
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return Seconds(float(match[1]) * _FACTORS[match[2]])
    raise ValueError(f"must be a duration such as 250ms, 2s, 5m or 1h, not {value!r}")


def format_duration(seconds: float) -> str:
    """The shortest way to write a duration: 0.25 is `250ms`, 90 is `90s`, 3600 is `1h`."""
    if seconds and seconds % 3600 == 0:
        return f"{seconds / 3600:g}h"
    if seconds and seconds % 60 == 0 and seconds >= 120:
        return f"{seconds / 60:g}m"
    return f"{seconds:g}s" if seconds >= 1 or not seconds else f"{seconds * 1000:g}ms"
