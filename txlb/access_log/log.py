"""The access log of one process: which connections are told, how, and where.

Events wait, and become lines many at a time: made one by one, between connections, each line would find the processor's
caches filled with something else and take twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txlb.access_log.lines import MakeLine, line_maker
from txlb.access_log.log_file import LogFile
from txlb.events import AccessLogLost, ConnectionClosed, EventBus
from txlb.specs import AccessLogSpec

log = Logger()

MOST_WAITING = 200
"""Connections that wait for a write at most: in JSON some 60 KiB, and half a millisecond's work."""

LONGEST_WAIT = 1.0
"""Seconds that one waits at most."""


class AccessLog:
    """Off until `configure` gives it a spec. `stop` writes what waits, and must come after the last connection."""

    def __init__(self, bus: EventBus, clock: IReactorTime) -> None:
        self._bus = bus
        self._clock = clock
        self._spec: AccessLogSpec | None = None
        self._file: LogFile | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._make_line: MakeLine | None = None
        self._waiting: list[ConnectionClosed] = []
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
        self._flush()
        if new != old:
            self._close()
            if new is not None:
                self._file = LogFile(new, self._clock, self._lost)
                self._file.reopen()  # now, so that what is wrong with it is told now
        self._spec, self._make_line = spec, make_line
        if make_line is not None:
            tell = self._keep if self._file is not None else self._say
            self._unsubscribe = self._bus.subscribe(ConnectionClosed, tell)

    def reopen(self) -> None:
        """The file was moved away by log rotation: write what waits to it, and then go on in a new one."""
        if self._file is not None:
            self._flush()
            self._file.reopen()

    def stop(self) -> None:
        """Write what waits, and log nothing any more."""
        self.configure(None)

    def _keep(self, event: ConnectionClosed) -> None:
        waiting = self._waiting
        waiting.append(event)
        if len(waiting) >= MOST_WAITING:
            self._flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(LONGEST_WAIT, self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        """The timer is left to run: under load it finds a line to write anyway, and to cancel it each time costs more."""
        if self._waiting and self._file is not None:
            waiting, self._waiting = self._waiting, []
            assert self._make_line is not None
            self._file.write("".join(map(self._make_line, waiting)).encode("utf-8", "backslashreplace"))

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lost(self, lines: int, reason: str) -> None:
        if lines:
            self._bus.publish(AccessLogLost(lines, reason))

    def _say(self, event: ConnectionClosed) -> None:
        assert self._make_line is not None
        log.info("{line}", line=self._make_line(event)[:-1])
