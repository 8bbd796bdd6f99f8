"""One reader in the reactor, and the edge-triggered set behind it.

Rules that everything in the set relies on:

- What is registered has `ready(mask)`; it is called with the events of one descriptor. An exception that leaves it is
  logged and ends that one (`crashed()`), never the batch.
- A batch is always finished, and no descriptor is closed while it runs: the number would be reused, and the newcomer
  get the old one's hang-up. `bury` takes a descriptor out of the table at once and closes it after the batch; only then
  its `buried(reason)` tells the Protocol, never from within the call that closed it.
- `again(x)` has `x.proceed()` called after the batch, for what became possible in the course of it.
- At most `EVENTS` descriptors are asked for at a time, and after `SLICE` seconds the reactor gets its turn, so timers and
  other readers stay prompt.

Outside a batch (a timer, another reader) the same things happen in the reactor's next turn.
"""

from __future__ import annotations

import select
from time import monotonic
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb.engines.epoll.pipes import Pipes

log = Logger()

EVENTS = 32
"""Descriptors served between two looks at the set."""

SLICE = 0.002
"""Seconds after which the reactor has its turn."""

IN, PRI, OUT, ERR, HUP, RDHUP, EDGE = 0x1, 0x2, 0x4, 0x8, 0x10, 0x2000, 0x80000000
"""epoll's bits; `select` names them on Linux only, and this module can be imported anywhere."""


class Inert:
    """Stands in the table for a descriptor that is about to be closed."""

    def ready(self, mask: int) -> None:
        """An event that came too late."""

    def crashed(self) -> None:
        """It cannot."""

    def stop(self) -> None:
        """It is over already."""


INERT = Inert()


class Grave:
    """A socket that is nobody's any more and waits for the end of the batch."""

    __slots__ = ("_sock", "fd")

    def __init__(self, sock: Any) -> None:
        self.fd: int = sock.fileno()
        self._sock = sock

    def buried(self, reason: Failure | None) -> None:
        """The batch is over."""
        self._sock.close()


@implementer(IReadDescriptor)
class Loop:
    """See the module."""

    def __init__(self, reactor: Any, clock: IReactorTime) -> None:
        self.clock = clock
        self.table: dict[int, Any] = {}
        self.pipes = Pipes(clock)
        self._reactor = reactor
        self._epoll: select.epoll | None = None
        self._poll: Any = None
        self._again: list[Any] = []
        self._buried: list[tuple[Any, Failure | None]] = []
        self._running = False
        self._soon: IDelayedCall | None = None

    # What is in the set

    def register(self, fd: int, mask: int, owner: Any) -> None:
        """Watch `fd`; its events go to `owner.ready(mask)`."""
        if self._epoll is None:
            self._open()
        self._epoll.register(fd, mask)  # type: ignore[union-attr]
        self.table[fd] = owner

    def rearm(self, fd: int, mask: int) -> None:
        """Have what is true of `fd` now reported again, though nothing new happened."""
        self._epoll.modify(fd, mask)  # type: ignore[union-attr]

    def unregister(self, fd: int) -> None:
        """Watch `fd` no longer, at once; it stays open."""
        self._epoll.unregister(fd)  # type: ignore[union-attr]
        self.table[fd] = INERT

    def bury(self, owner: Any, reason: Failure | None = None) -> None:
        """Hear no more of `owner.fd`; after the batch `owner.buried(reason)` closes it."""
        self.table[owner.fd] = INERT
        self._buried.append((owner, reason))
        if not self._running:
            self._schedule()

    def again(self, owner: Any) -> None:
        """Call `owner.proceed()` after the batch."""
        self._again.append(owner)
        if not self._running:
            self._schedule()

    def stop(self) -> None:
        """End everything that is registered, now."""
        self._running = True
        for owner in list(self.table.values()):
            owner.stop()
        self._again.clear()
        self._finish()
        self._running = False
        self.pipes.stop()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._epoll is not None:
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

    # The reactor's reader

    def fileno(self) -> int:
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        return "epoll"

    def connectionLost(self, reason: Failure) -> None:
        log.critical("The reactor dropped the epoll engine: {reason}", reason=reason.getErrorMessage())

    def doRead(self) -> None:
        poll, table = self._poll, self.table
        until = monotonic() + SLICE
        self._running = True
        try:
            while events := poll(0, EVENTS):
                for fd, mask in events:
                    try:
                        table[fd].ready(mask)
                    except Exception:
                        self._blame(table[fd])
                if self._again or self._buried:
                    self._finish()
                if monotonic() > until or self._epoll is None:
                    break
        finally:
            self._running = False
            if self._again:
                self._schedule()

    def _open(self) -> None:
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._reactor.addReader(self)

    # After a batch

    def _schedule(self) -> None:
        if self._soon is None:
            self._soon = self.clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._soon = None
        self._running = True
        try:
            self._finish()
        finally:
            self._running = False
            if self._again:
                self._schedule()

    def _finish(self) -> None:
        owners, self._again = self._again, []
        for owner in owners:
            try:
                owner.proceed()
            except Exception:
                self._blame(owner)
        while self._buried:
            buried, self._buried = self._buried, []
            for owner, reason in buried:
                self.table.pop(owner.fd, None)
                try:
                    owner.buried(reason)
                except Exception:
                    log.failure("While a connection ended")

    def _blame(self, owner: Any) -> None:
        log.failure("Unhandled error; the connection is dropped")
        owner.crashed()
