"""A recorded access log as a workload: the JSON lines that the balancer's own access log writes.

Of each line `time` (ISO 8601, when the client came), `duration` (seconds) and `client` are read; the rest is ignored. Lines
come in the order in which connections ended and are sorted by their start.
"""

from __future__ import annotations

import json
import math
from array import array
from datetime import datetime
from pathlib import Path
from typing import Any

from txlb.errors import ConfigError, Problem
from txlb.simulate.workload import SimClient, Workload

MOST_PROBLEMS = 20
"""Problems told of one trace."""


def read_trace(path: str, speed: float = 1.0, most: int | None = None) -> Workload:
    """The connections of the log, `speed` times as fast, the first `most` of them. Raises ConfigError with each line."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(path, 0, 0, "", f"cannot be read: {_why(error)}")]) from None
    problems: list[Problem] = []
    records: list[tuple[float, str, float]] = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                records.append(_record(line))
            except ValueError as error:
                problems.append(Problem(path, number, 0, "", str(error)))
        if len(problems) == MOST_PROBLEMS:
            break
    if not records and not problems:
        problems.append(Problem(path, 0, 0, "", "holds no connections"))
    if problems:
        raise ConfigError(problems)
    return _workload(sorted(records)[:most], speed)


def _why(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8"


def _record(line: str) -> tuple[float, str, float]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(record, dict):
        raise ValueError("is not a JSON object")
    host = record.get("client")
    if not isinstance(host, str):
        raise ValueError(f"client must be text, not {_short(host)}")
    return _time(record.get("time")), host, _seconds(record, "duration")


def _time(value: Any) -> float:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"time must be such as 2026-03-01T09:30:00.125Z, not {_short(value)}") from None


def _seconds(record: dict[str, Any], name: str) -> float:
    value: Any = record.get(name)
    if type(value) not in (int, float) or not 0 <= value < 1e12 or not math.isfinite(value):
        raise ValueError(f"{name} must be seconds, not {_short(value)}")
    return float(value)


def _short(value: object) -> str:
    return repr(value)[:40] if value is not None else "missing"


def _workload(records: list[tuple[float, str, float]], speed: float) -> Workload:
    first = records[0][0]
    index: dict[str, int] = {}
    who = array("l", (index.setdefault(host, len(index)) for _, host, _ in records))
    times = array("d", ((started - first) / speed for started, _, _ in records))
    work = array("d", (duration for _, _, duration in records))
    return Workload(times, who, work, tuple(map(SimClient, index)), recorded=True)
