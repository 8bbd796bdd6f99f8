"""Large transfers without a copy into this process: socket to pipe to socket with `os.splice`.

A pipe is taken from the pool for one turn of one direction and given back empty. Only what a full socket does not take
keeps its pipe, in the `outbox` of that socket. There are at most `MOST`, and what was not needed for a second is closed.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

MOST = 64
"""Pipes there may be; who gets none copies."""

UNUSED = 1.0
"""Seconds after which a pipe that nobody needed is closed."""

SIZE = 262144
"""Bytes that a pipe can hold: four times the system's default cost 15 % less per byte, and more made no difference."""

CAPACITY = 1 << 20
"""Bytes asked of one `splice`; the pipe's own size is what limits it."""

FLAGS = getattr(os, "SPLICE_F_NONBLOCK", 0) | getattr(os, "SPLICE_F_MOVE", 0)


class Pipe:
    """Holds `left` bytes on their way to a socket; its length, so that it can stand in an `outbox` beside buffers."""

    __slots__ = ("_pool", "left", "sink", "source")

    def __init__(self, pool: Pipes, source: int, sink: int) -> None:
        self._pool = pool
        self.source = source
        self.sink = sink
        self.left = 0

    def __len__(self) -> int:
        return self.left

    def fill(self, fd: int) -> int:
        """Take what the socket has, 0 at its end; raises like `read`. The pipe is empty before."""
        self.left = count = os.splice(fd, self.sink, CAPACITY, None, None, FLAGS)
        return count

    def send(self, fd: int) -> int:
        """Give the socket all that it takes and return how much that was; raises like `write` but for EAGAIN."""
        before = self.left
        while self.left:
            try:
                self.left -= os.splice(self.source, fd, self.left, None, None, FLAGS)
            except BlockingIOError:
                break
        return before - self.left

    def release(self) -> None:
        """No longer needed."""
        self._pool.give(self)


@define(eq=False)
class Pipes:
    """The pool. Its timer exists only while there are pipes that nobody uses."""

    clock: IReactorTime
    open: int = 0
    _free: list[Pipe] = field(factory=list)
    _least: int = 0
    _timer: IDelayedCall | None = None

    def take(self) -> Pipe | None:
        """An empty pipe, unless there are too many or the system gives none."""
        if self._free:
            pipe = self._free.pop()
            self._least = min(self._least, len(self._free))
            return pipe
        if self.open >= MOST:
            return None
        try:
            ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        self.open += 1
        with suppress(OSError):  # over the user's quota: a small one works too
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, SIZE)
        return Pipe(self, *ends)

    def give(self, pipe: Pipe) -> None:
        """Take a pipe back; one that is not empty is closed."""
        if pipe.left:
            self._close(pipe)
            return
        self._free.append(pipe)
        if self._timer is None:
            self._timer = self.clock.callLater(UNUSED, self._trim)

    def stop(self) -> None:
        """Close those that nobody uses."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._free:
            self._close(self._free.pop())

    def _trim(self) -> None:
        """As many as were free all the time were needed by nobody."""
        self._timer = None
        for _ in range(self._least):
            self._close(self._free.pop())
        self._least = len(self._free)
        if self._free:
            self._timer = self.clock.callLater(UNUSED, self._trim)

    def _close(self, pipe: Pipe) -> None:
        self.open -= 1
        os.close(pipe.source)
        os.close(pipe.sink)
