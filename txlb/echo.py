"""An echo server: what it receives it sends back, byte for byte. `twist txecho` runs it as a backend to try a balancer
with, and the `echo:` key of the configuration runs it inside the balancer.

Its reply to each chunk may be held back by `delay`, and by up to `jitter` more, drawn at random: latency of its own, so
that strategies that measure have something to see. Order is kept. With a name it says that name in a line of its own
when a connection opens, before it has heard anything; without one it only echoes.

It stops reading while its client does not read, or while `HELD` bytes wait for their time; so a connection never holds
more than that and what one read and the transport's buffer add. At the client's end of stream it sends what is left and
then closes.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IListeningPort,
    IPushProducer,
    IReactorTCP,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError
from zope.interface import implementer

from txlb.clock import SteadyClock
from txlb.errors import PORT_UNAVAILABLE
from txlb.units import parse_duration

HELD = 256 * 1024
"""Bytes of one connection that may wait for their delay; more are not read."""

BAD_USAGE = 64
"""Exit code: wrong arguments (sysexits.h, EX_USAGE), as `twist` itself has it."""

BACKLOG = 1024

log = Logger()


@define(eq=False, slots=False)
class EchoFactory(ServerFactory):
    """Makes the connections of one echo server. `delay` and `jitter` are seconds; `rng` draws the jitter."""

    noisy = False

    clock: IReactorTime
    name: str = ""
    delay: float = 0.0
    jitter: float = 0.0
    rng: random.Random = field(factory=random.Random)
    open: set[Echo] = field(factory=set, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)

    def buildProtocol(self, addr: object) -> Echo:
        """A new connection's Protocol."""
        return Echo(self)

    def emptied(self) -> Deferred[None]:
        """Fires once no connection is open."""
        emptied: Deferred[None] = Deferred()
        self._waiting.append(emptied)
        self._tell_if_empty()
        return emptied

    def abort_all(self) -> None:
        """Reset the open connections."""
        for echo in tuple(self.open):
            echo.transport.abortConnection()

    def left(self, echo: Echo) -> None:
        """A connection is over."""
        self.open.discard(echo)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if not self.open:
            waiting, self._waiting = self._waiting, []
            for emptied in waiting:
                emptied.callback(None)


@implementer(IHalfCloseableProtocol, IPushProducer)
class Echo(Protocol):
    """One connection. It is its own transport's producer: to pause it is to stop reading."""

    transport: Any

    def __init__(self, factory: EchoFactory) -> None:
        self._server = factory
        self._waiting: deque[tuple[float, bytes]] = deque()  # (when due, chunk), in the order received
        self._held = 0
        self._due: IDelayedCall | None = None
        self._client_reads = True
        self._ended = False

    def connectionMade(self) -> None:
        """Say the name, if there is one."""
        self._server.open.add(self)
        self.transport.registerProducer(self, True)
        if self._server.name:
            self.transport.write(f"{self._server.name}\n".encode())

    def dataReceived(self, data: bytes) -> None:
        """Send it back, now or when its delay is over."""
        if not (self._server.delay or self._server.jitter):
            self.transport.write(data)
            return
        due = self._server.clock.seconds() + self._server.delay + self._server.rng.uniform(0, self._server.jitter)
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, data))
        self._held += len(data)
        if self._held >= HELD:
            self.transport.pauseProducing()
        self._schedule()

    def pauseProducing(self) -> None:
        """The client does not read what it was sent: read no more from it."""
        self._client_reads = False
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._client_reads = True
        self._read_on()

    def stopProducing(self) -> None:
        """The transport is going down; `connectionLost` follows."""

    def readConnectionLost(self) -> None:
        """The client has said all: close once it has been answered."""
        self._ended = True
        self._close_if_done()

    def writeConnectionLost(self) -> None:
        """Nothing to do: this side never ends its writing before the whole connection."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let go of what still waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._waiting.clear()
        self._server.left(self)

    def _schedule(self) -> None:
        if self._due is None and self._waiting:
            clock = self._server.clock
            self._due = clock.callLater(max(0.0, self._waiting[0][0] - clock.seconds()), self._release)

    def _release(self) -> None:
        self._due = None
        now = self._server.clock.seconds()
        while self._waiting and self._waiting[0][0] <= now:
            _, chunk = self._waiting.popleft()
            self._held -= len(chunk)
            self.transport.write(chunk)
        self._schedule()
        self._close_if_done()
        self._read_on()

    def _read_on(self) -> None:
        if self._client_reads and not self._ended and self._held < HELD:
            self.transport.resumeProducing()

    def _close_if_done(self) -> None:
        if self._ended and not self._waiting:
            # A registered producer would be asked for more, and the connection would never close.
            self.transport.unregisterProducer()
            self.transport.loseConnection()


@define(eq=False, slots=False)
class EchoService(Service):
    """One echo server on a TCP port. A port that cannot be bound ends the process: one line and exit code 69."""

    reactor: IReactorTCP
    factory: EchoFactory
    port: int
    interface: str
    _listening: IListeningPort | None = field(init=False, default=None)

    def startService(self) -> None:
        """Listen."""
        super().startService()
        try:
            self._listening = self.reactor.listenTCP(self.port, self.factory, BACKLOG, self.interface)
        except CannotListenError as error:
            sys.stderr.write(f"txecho: cannot listen on {self.interface}:{self.port}: {error.socketError}\n")
            sys.exit(PORT_UNAVAILABLE)
        log.info("Echoing on {address}", address=_written(self._listening.getHost()))

    def stopService(self) -> Any:
        """Stop listening; open connections end with the process."""
        super().stopService()
        listening, self._listening = self._listening, None
        return listening.stopListening() if listening is not None else None


def _written(address: Any) -> str:
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise ValueError(f"must be a number from 0 to 65535, not {text!r}")
    return int(text)


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"must be one line of printable text, not {text!r}")
    return text


def _parameter(name: str, default: object, help: str, parse: Callable[[str], object]) -> list[object]:
    """An entry of `optParameters` whose errors say which option they are about."""

    def checked(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise UsageError(f"--{name} {error}") from error

    return [name, None, default, help, checked]


class Options(UsageOptions):
    """What `twist txecho` takes."""

    optParameters = [
        _parameter("port", 9001, "TCP port to listen on; 0 for any that is free.", _port),
        _parameter("interface", "127.0.0.1", "Address to listen on; 0.0.0.0 or :: for all.", _one_line),
        _parameter("name", "", "Say this line first on every connection; without it, only echo.", _one_line),
        _parameter("delay", 0.0, "Hold back each reply this long, such as 50ms.", parse_duration),
        _parameter("jitter", 0.0, "Hold back each reply up to this much longer, at random.", parse_duration),
    ]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Wrong arguments end the process with one line; `twist` would print all its usage for them."""
        try:
            super().parseOptions(options)
        except UsageError as error:
            message = " ".join(str(error).split())
            sys.stderr.write(f"txecho: {message} (see twist txecho --help)\n")
            sys.exit(BAD_USAGE)


def makeService(options: Options) -> IService:
    """The service for `twist`."""
    from twisted.internet import reactor  # not at the top: `twist` lets the operator choose another

    factory = EchoFactory(SteadyClock(reactor), options["name"], options["delay"], options["jitter"])
    return EchoService(reactor, factory, options["port"], options["interface"])
