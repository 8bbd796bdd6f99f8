"""A worker's log: the parent's output and format, and the worker's number in every line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from attrs import frozen
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    jsonFileLogObserver,
    textFileLogObserver,
)
from zope.interface import provider

Event = dict[str, Any]


@frozen
class Logs:
    """How the parent logs: `format` is `text` or `json`, `level` the lowest level that is written, `descriptor` the
    place."""

    format: str = "text"
    level: str = "info"
    descriptor: int = 1


def begin(number: int, logs: Logs, output: TextIO) -> None:
    """Log like that from now on."""
    write = jsonFileLogObserver(output) if logs.format == "json" else textFileLogObserver(output)
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(logs.level))
    observer = FilteringLogObserver(numbered(number, logs.format, write), [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def numbered(number: int, format: str, write: Callable[[Event], object]) -> ILogObserver:
    """An observer that marks events with the worker's number: in text as their system, in JSON as `worker`."""

    @provider(ILogObserver)
    def observe(event: Event) -> None:
        if format == "json":
            write({**event, "worker": number})
            return
        level = event.get("log_level")
        system = event.get("log_system") or f"{event.get('log_namespace', '-')}#{level.name if level else '-'}"
        write({**event, "log_system": f"worker {number} {system}"})

    return observe
