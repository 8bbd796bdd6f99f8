"""Accepting on a port that Twisted made.

The port's descriptor, duplicated, goes into the private set, level-triggered: what is not accepted now is reported again,
so a wake-up may accept as few as it likes and needs no final `accept` that says EAGAIN. It takes one connection where
they come one by one, and up to `MOST` at a time as wake-ups follow each other.

Without descriptors or memory, accepting rests for `REST` seconds, since a level-triggered descriptor would keep the CPU
busy with failing.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from txlb.engines.epoll.loop import IN, Grave
from txlb.engines.epoll.stream import WATCH
from txlb.engines.epoll.transport import Transport, address_of
from txlb.engines.sockets import LAST, REST, tune
from txlb.interfaces import IAcceptor
from txlb.specs import TimeoutsSpec

if TYPE_CHECKING:
    from txlb.engines.epoll.engine import EpollEngine

log = Logger()

MOST = 16
"""Accepted at one wake-up at most."""

_PASSING = frozenset({errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.EINTR})


@implementer(IAcceptor)
class Acceptor:
    """Accepts for `factory`, never more than there is room for."""

    def __init__(self, engine: EpollEngine, port: Any, factory: Any, room: Callable[[], int]) -> None:
        self._engine = engine
        self._loop = engine.loop
        self._port = port
        self._factory = factory
        self._room = room
        self._sock = socket.socket(fileno=os.dup(port.socket.fileno()))
        self._family = int(self._sock.family)
        self.fd = self._sock.fileno()
        self._watched = False
        self._paused = False
        self._rest: IDelayedCall | None = None
        self._logged = float("-inf")
        self._batch = 1
        self._last = 0.0
        self._watch()

    def tune(self, sockets: TimeoutsSpec) -> None:
        """Options of the listening socket are inherited by what it accepts."""
        tune(self._sock, sockets)

    def ready(self, mask: int) -> None:
        """Somebody wants in."""
        if not self._watched:
            return
        room = self._room()
        if room <= 0:
            self._take_rest()
            return
        for _ in range(min(room, self._batch)):
            if not self._accept():
                self._batch = 1
                return
        self._batch = min(MOST, self._batch * 2)

    def _accept(self) -> bool:
        try:
            fd, name = self._sock._accept()  # type: ignore[attr-defined]
        except BlockingIOError:
            return False
        except OSError as error:
            return self._failed(error)
        os.set_blocking(fd, False)
        address = address_of(self._family, name)
        transport = Transport(self._loop, fd, address)
        self._loop.register(fd, WATCH, transport)
        try:
            transport.protocol = protocol = self._factory.buildProtocol(address)
            if protocol is not None:
                protocol.makeConnection(transport)
                return self._watched
        except Exception:
            log.failure("Unhandled error; the connection is dropped")
        transport.abortConnection()
        return self._watched

    def _failed(self, error: OSError) -> bool:
        if error.errno in _PASSING:
            return True
        now = self._loop.clock.seconds()
        if now - self._logged >= 1.0:
            self._logged = now
            log.error(
                "Cannot accept on {host}: {error}; trying again every {rest} s",
                host=self._port.getHost(),
                error=os.strerror(error.errno or errno.EINVAL),
                rest=REST,
            )
        self._take_rest()
        return False

    def _take_rest(self) -> None:
        self._unwatch()
        if self._rest is None:
            self._rest = self._loop.clock.callLater(REST, self._rested)

    def _rested(self) -> None:
        self._rest = None
        if not self._paused:
            self._watch()

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            self._loop.register(self.fd, IN, self)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.unregister(self.fd)

    def pause(self) -> None:
        self._paused = True
        self._unwatch()

    def resume(self) -> None:
        self._paused = False
        self._cancel_rest()
        self._watch()

    def accept_waiting(self) -> None:
        for _ in range(LAST):
            if not self._watched or self._room() <= 0 or not self._accept():
                return

    def _cancel_rest(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def release(self) -> Any:
        self._paused = True
        self._unwatch()
        self._cancel_rest()
        self._loop.bury(Grave(self._sock))
        self._engine.released(self)
        return self._port

    def stop(self) -> None:
        """Stop serving; the port stays its owner's."""
        self.release()

    def crashed(self) -> None:
        """`room` raised."""
        self._take_rest()
