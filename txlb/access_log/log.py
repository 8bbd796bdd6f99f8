"""The access log of one process: which connections are told, how, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txlb.access_log.lines import line_maker
from txlb.access_log.log_file import LogFile
from txlb.events import AccessLogLost, ConnectionClosed, EventBus
from txlb.specs import AccessLogSpec

log = Logger()

MOST_WAITING = 64 * 1024
"""Characters that wait for a write at most."""

LONGEST_WAIT = 1.0
"""Seconds that a line waits at most."""


class AccessLog:
    """Off until `configure` gives it a spec. `stop` writes what waits, and must come after the last connection."""

    def __init__(self, bus: EventBus, clock: IReactorTime) -> None:
        self._bus = bus
        self._clock = clock
        self._spec: AccessLogSpec | None = None
        self._file: LogFile | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._waiting: list[str] = []
        self._size = 0
        self._timer: Any = None

    def configure(self, spec: AccessLogSpec | None) -> None:
        """Log as it says from now on, or not at all. A file that stays the same stays open. Raises ValueError for a
        format that there is none of."""
        if spec == self._spec:
            return
        make_line = line_maker(spec.format) if spec is not None else None
        old = self._spec.file if self._spec is not None else None
        new = spec.file if spec is not None else None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if new != old:
            self._close()
            if new is not None:
                self._file = LogFile(new, self._clock, self._lost)
                self._file.reopen()  # now, so that what is wrong with it is told now
        self._spec = spec
        if make_line is not None:
            keep = self._keep if self._file is not None else _say
            self._unsubscribe = self._bus.subscribe(ConnectionClosed, lambda event: keep(make_line(event)))

    def reopen(self) -> None:
        """The file was moved away by log rotation: write what waits to it, and then go on in a new one."""
        if self._file is not None:
            self._flush()
            self._file.reopen()

    def stop(self) -> None:
        """Write what waits, and log nothing any more."""
        self.configure(None)

    def _keep(self, line: str) -> None:
        self._waiting.append(line)
        self._size += len(line)
        if self._size >= MOST_WAITING:
            self._flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(LONGEST_WAIT, self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        """The timer is left to run: under load it finds a line to write anyway, and to cancel it each time costs more."""
        if self._waiting and self._file is not None:
            waiting, self._waiting, self._size = self._waiting, [], 0
            self._file.write("".join(waiting).encode("utf-8", "backslashreplace"))

    def _close(self) -> None:
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lost(self, lines: int, reason: str) -> None:
        if lines:
            self._bus.publish(AccessLogLost(lines, reason))


def _say(line: str) -> None:
    log.info("{line}", line=line[:-1])
