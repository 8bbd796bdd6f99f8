"""Passing a reset on without losing what came before it.

Closing with SO_LINGER 0 throws away what the kernel has not sent yet: of four megabytes, 32 KB came through. So a reset
waits until the other end has acknowledged everything (SIOCOUTQ says 0), at most `linger` seconds. The kernel tells
nobody when that happens; somebody has to look. One timer looks for all who wait, and exists only while somebody waits.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Callable
from typing import Protocol

from attrs import Factory, define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

INTERVAL = 0.01
"""Seconds between two looks."""

INTERVAL_EACH = 0.00005
"""Seconds between two looks for each who waits, where that is longer: a look takes a few microseconds for each, and when a
backend dies thousands may wait for readers that stall."""

_NOTHING = bytes(4)


class HasFileno(Protocol):
    """A socket, or whatever else knows its descriptor."""

    def fileno(self) -> int:
        """-1 once it is closed."""


def unacknowledged(sock: HasFileno | int) -> int:
    """Bytes written to this TCP socket that its other end has not acknowledged; 0 for one that was closed."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, _NOTHING))[0])
    except (OSError, ValueError):
        return 0


@define(eq=False)
class Wait:
    """Somebody who waits; `cancel` when it no longer matters."""

    sock: HasFileno | int
    unsent: Callable[[], int]
    deadline: float
    done: Callable[[], object] | None
    unacknowledged: Callable[[HasFileno | int], int]

    def cancel(self) -> None:
        """`done` will not be called. Harmless when it was."""
        self.done = None

    def settled(self, now: float) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.done is None or now >= self.deadline or not (self.unsent() or self.unacknowledged(self.sock))

    def finish(self) -> None:
        """Call `done`, once."""
        done, self.done = self.done, None
        if done is not None:
            done()


@define(eq=False)
class ResetWatch:
    """Calls back those whose bytes have all arrived, or whose time is up."""

    clock: IReactorTime
    unacknowledged: Callable[[HasFileno | int], int] = unacknowledged
    _waits: list[Wait] = field(default=Factory(list), init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    def wait(
        self,
        sock: HasFileno | int,
        linger: float,
        done: Callable[[], object],
        unsent: Callable[[], int] = lambda: 0,
    ) -> Wait:
        """Call `done()` once the other end of `sock` has acknowledged everything, or after `linger` seconds.

        `unsent()` says how many bytes wait in this process. Where nothing is outstanding, that is now, from within
        this call.
        """
        now = self.clock.seconds()
        wait = Wait(sock, unsent, now + linger, done, self.unacknowledged)
        if wait.settled(now):
            wait.finish()
        else:
            self._waits.append(wait)
            if self._timer is None:
                self._timer = self.clock.callLater(INTERVAL, self._look)
        return wait

    def stop(self) -> None:
        """Forget all who wait."""
        self._waits.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = self.clock.seconds()
        waits, self._waits = self._waits, []
        settled: list[Wait] = []
        for wait in waits:
            (settled if wait.settled(now) else self._waits).append(wait)
        if self._waits:
            self._timer = self.clock.callLater(max(INTERVAL, INTERVAL_EACH * len(self._waits)), self._look)
        for wait in settled:
            wait.finish()
