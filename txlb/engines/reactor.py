"""The engine that is made of Twisted's own transports: every reactor, every platform, every kind of endpoint.

It links nothing: bytes pass through the two Protocols, and each side is the producer of the other's transport. Its
limits are those of Twisted's transports:

- one whose reading is paused hears of no reset; the pair asks `broken` from time to time;
- a reset that comes while reading is paused can lose bytes that were still in the kernel;
- a failed write ends both directions, so what the other end had sent before is lost with it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from errno import EWOULDBLOCK
from typing import Any

from attrs import define
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectBindError, ConnectError, TCPTimedOutError, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb.engines.resets import ResetWatch
from txlb.engines.sockets import LAST, LOCAL_TROUBLE, REST, SHORTAGE, socket_of, tune
from txlb.errors import DialError
from txlb.interfaces import IAcceptor, IDial, IDialFactory, IEngine, Outcome
from txlb.specs import TimeoutsSpec

log = Logger()

ACCEPTS_PER_TURN = 64

BUFFER = 32768
"""Twisted reads as much at once as it buffers before it pauses the producer: together 64 KiB a direction."""


@implementer(IEngine)
class ReactorEngine:
    """See the module."""

    name = "reactor"
    links = False

    def __init__(self, reactor: Any, clock: IReactorTime) -> None:
        self._reactor = reactor
        self._clock = clock
        self._endpoints: dict[str, IStreamClientEndpoint] = {}
        self._sockets = TimeoutsSpec()
        self._resets = ResetWatch(clock)

    def objection(self, listen: Iterable[str], connects: Iterable[str]) -> str | None:
        return None

    def prepare(self, connects: Iterable[str], sockets: TimeoutsSpec) -> None:
        known = self._endpoints
        self._endpoints = {c: known.get(c) or clientFromString(self._reactor, c) for c in connects}
        self._sockets = sockets

    def serve(self, port: IListeningPort, factory: Any, room: Callable[[], int]) -> Acceptor:
        return Acceptor(port, room, self._sockets, self._clock)

    def dial(self, connect: str, factory: IDialFactory) -> Dial:
        dial = Dial(factory, self._sockets)
        dial.start(self._endpoints[connect])
        return dial

    def link(self, client: Any, backend: Any) -> None:
        raise TypeError("this engine does not link")

    def unsent(self, transport: Any) -> int:
        unsent = 0
        while isinstance(transport, ProtocolWrapper):  # TLS keeps some of its own
            unsent += sum(map(len, getattr(transport, "_appSendBuffer", ())))
            transport = transport.transport
        if isinstance(transport, FileDescriptor):
            unsent += len(transport.dataBuffer) - transport.offset + transport._tempDataLen
        return unsent

    def broken(self, transport: Any) -> bool:
        descriptor = socket_of(transport)
        if descriptor is None or descriptor.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(descriptor, 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))

    def reset(self, transport: Any, linger: float) -> None:
        descriptor = socket_of(transport)
        if descriptor is None or isinstance(transport, ProtocolWrapper):
            transport.loseConnection()
        else:
            self._resets.wait(descriptor, linger, transport.abortConnection, lambda: self.unsent(transport))

    def stop(self) -> None:
        self._resets.stop()


@implementer(IAcceptor)
class Acceptor:
    """Accepts on a port of Twisted's, never more at once than there is room for. Without descriptors or memory it rests,
    and clients wait in the backlog; Twisted by itself would accept and close them, or fail in a busy loop."""

    def __init__(self, port: Any, room: Callable[[], int], sockets: TimeoutsSpec, clock: IReactorTime) -> None:
        self._port = port
        self._room = room
        self._clock = clock
        self._rest: IDelayedCall | None = None
        self._serving = True
        self._quiet_until = float("-inf")
        self._accept = port.doRead
        self._door = Door(port.socket, self._short)
        self._host = port.getHost()
        # What is set on the instance hides the class's own, until `release` takes it away again.
        port.doRead = self._doRead
        port.transport = type("Server", (port.transport,), {"bufferSize": BUFFER})
        tune(port.socket, sockets)  # inherited by what it accepts
        port.startReading()

    def _doRead(self) -> None:
        room = self._room()
        if room > 0:
            self._take(min(room, ACCEPTS_PER_TURN))
        else:
            self._take_rest()

    def _take(self, most: int) -> None:
        port = self._port
        port.numberAccepts = most
        port.socket, listening = self._door, port.socket
        try:
            self._accept()
        finally:
            port.socket = listening

    def accept_waiting(self) -> None:
        if self._serving:
            self._take(max(0, min(self._room(), LAST)))

    def _short(self, error: OSError) -> None:
        self._take_rest()
        now = self._clock.seconds()
        if now >= self._quiet_until:
            self._quiet_until = now + 1
            words = "Cannot accept on {host}: {error}; trying again every {rest} s"
            log.error(words, host=self._host, error=error.strerror, rest=REST)

    def pause(self) -> None:
        self._forget_rest()
        self._port.stopReading()

    def resume(self) -> None:
        self._forget_rest()
        self._port.startReading()

    def release(self) -> Any:
        self.pause()
        self._serving = False
        del self._port.doRead, self._port.transport
        return self._port

    def _take_rest(self) -> None:
        self.pause()
        self._rest = self._clock.callLater(REST, self.resume)

    def _forget_rest(self) -> None:
        rest, self._rest = self._rest, None
        if rest is not None and rest.active():
            rest.cancel()


@define(eq=False)
class Door:
    """A listening socket for Twisted's accepting to use: in need of descriptors or memory nobody seems to wait there."""

    _socket: socket.socket
    _short: Callable[[OSError], None]

    def accept(self) -> tuple[socket.socket, Any]:
        """As a socket's."""
        try:
            return self._socket.accept()
        except OSError as error:
            if error.errno not in SHORTAGE:
                raise
            self._short(error)
            raise BlockingIOError(EWOULDBLOCK, error.strerror) from error


@implementer(IDial)
class Dial(Factory):
    """One attempt on a Twisted endpoint. An endpoint that ignores its cancellation connects to nobody."""

    noisy = False

    def __init__(self, factory: IDialFactory, sockets: TimeoutsSpec) -> None:
        self._factory = factory
        self._sockets = sockets
        self._deferred: Deferred[Any] | None = None
        self._cancelled = False

    def start(self, endpoint: IStreamClientEndpoint) -> None:
        """Connect; the factory hears of the result."""
        self._deferred = endpoint.connect(self)
        self._deferred.addCallbacks(self._connected, self._failed)
        self._deferred.addErrback(lambda failure: log.failure("After a dial", failure))

    def buildProtocol(self, addr: Any) -> Any:
        return None if self._cancelled else self._factory.buildProtocol(addr)

    def _connected(self, protocol: Any) -> None:
        self._deferred = None
        transport = protocol.transport
        if isinstance(transport, FileDescriptor):
            # Twisted's endpoints put a wrapper between, which forgets IHalfCloseableProtocol where the protocol is an
            # IHandshakeListener too.
            transport.protocol = protocol  # type: ignore[attr-defined]
            transport.bufferSize = BUFFER
        if (connected := socket_of(transport)) is not None:
            tune(connected, self._sockets)

    def _failed(self, failure: Failure) -> None:
        self._deferred = None
        if not self._cancelled:
            self._factory.dialFailed(dial_error(failure.value))

    def cancel(self) -> None:
        self._cancelled = True
        if self._deferred is not None:
            self._deferred.cancel()


def dial_error(error: BaseException | None) -> DialError:
    """What a failed endpoint's exception means for the backend: nothing, when the trouble is our own."""
    number = getattr(error, "osError", None) or getattr(error, "errno", None)
    if isinstance(error, ConnectBindError) or number in LOCAL_TROUBLE:
        return DialError(Outcome.LOCAL_ERROR, str(error))
    if isinstance(error, TimeoutError | TCPTimedOutError):
        return DialError(Outcome.CONNECT_TIMEOUT, str(error))
    words = str(error) if isinstance(error, ConnectError) else f"{type(error).__name__}: {error}"
    return DialError(Outcome.REFUSED, words)
