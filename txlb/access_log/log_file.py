"""A file that lines are appended to, and that may fail at any time without harm.

It is opened with O_APPEND and each batch of whole lines is one write, so that several processes can share it. What the
file cannot take is lost and counted: a full disk must not fill the memory instead. O_NONBLOCK keeps a pipe that nobody
reads from stopping the reactor; to ordinary files it makes no difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

log = Logger()

COMPLAIN_EVERY = 60.0
"""Seconds between two log lines about a file that cannot be written."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_MODE = 0o640


class LogFile:
    """`lost(lines, reason)` is told how many lines a write could not save."""

    def __init__(self, path: str, clock: IReactorTime, lost: Callable[[int, str], object]) -> None:
        self.path = path
        self._clock = clock
        self._tell = lost
        self._fd: int | None = None
        self._torn = False
        self._lost = 0
        self._quiet_until: float | None = None

    def write(self, data: bytes) -> None:
        """Append these whole lines. Never raises."""
        done, first = 0, 0
        if self._torn:
            data, first = b"\n" + data, 1
        try:
            if self._fd is None:
                self._open()
            while done < len(data):
                done += os.write(self._fd, data[done:])  # type: ignore[arg-type]
        except OSError as error:
            self._torn = data[done - 1 : done] != b"\n" if done else self._torn
            self._failed(data.count(b"\n", max(done, first)), error)
        else:
            self._torn = False
            self._recovered()

    def reopen(self) -> None:
        """Write to the file of that name that there is now, or to a new one; to the old one where it cannot be opened."""
        old = self._fd
        try:
            self._open()
        except OSError as error:
            self._failed(0, error)
            return
        self._torn = False
        if old is not None:
            os.close(old)

    def close(self) -> None:
        """Let the file go."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self._lost:
            log.warn("{lost} lines of access log {path} were lost", lost=self._lost, path=self.path)
            self._lost = 0

    def _open(self) -> None:
        self._fd = os.open(self.path, _FLAGS, _MODE)

    def _failed(self, lines: int, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._lost += lines
        self._tell(lines, reason)
        now = self._clock.seconds()
        if self._quiet_until is None or now >= self._quiet_until:
            self._quiet_until = now + COMPLAIN_EVERY
            log.error(
                "Access log {path} cannot be written: {reason}; {lost} lines lost so far",
                path=self.path,
                reason=reason,
                lost=self._lost,
            )

    def _recovered(self) -> None:
        if self._lost:
            log.warn("Access log {path} is written again; {lost} lines were lost", path=self.path, lost=self._lost)
            self._lost = 0
