"""A world without sockets for the pair: transports that behave as Twisted's do, an engine of them, and a pool.

`Wire` is one side's transport together with its other end: what the other end sends arrives while reading is not
paused, what is written to it waits until the other end takes it.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb import registry
from txlb.errors import DialError
from txlb.events import EventBus
from txlb.interfaces import IDial, IEngine, IStrategy
from txlb.model.limits import Gauge
from txlb.model.pool import Pool
from txlb.plugin import StrategyMaker
from txlb.proxy.listener import Listener
from txlb.specs import BackendSpec, ListenerSpec, PoolSpec, QueueSpec, StrategySpec, TimeoutsSpec

BUFFER = 32768

STEP = 1 / 32
"""Seconds of virtual time at a go: a delayed call that makes another one is due only at the next."""

TIMEOUTS = TimeoutsSpec(connect=5, idle=60, half_close=30, linger=5)


@implementer(IStrategy)
class InOrder:
    """The first that is not excluded."""

    def __init__(self) -> None:
        self.backends: tuple[Any, ...] = ()

    def rebuild(self, backends: tuple[Any, ...]) -> None:
        self.backends = backends

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        return next((b for b in self.backends if b not in exclude), None)


STRATEGIES = registry.strategies([StrategyMaker("in-order", f"{__name__}:InOrder", "the first one")])


class Wire:
    """A transport, and the kernel and the other end behind it."""

    def __init__(self, clock: Clock, port: int) -> None:
        self.clock = clock
        self.port = port
        self.protocol: Any = None
        self.producer: Any = None
        self.producer_paused = self.paused = False
        self.incoming: list[bytes | None] = []  # None is the end of stream
        self.outgoing = b""
        self.delivered = b""
        self.takes = True
        self.read_ended = self.write_ending = self.write_ended = self.closing = self.gone = False
        self.reset_by_peer = self.aborted = False

    # What the other end does

    def send(self, data: bytes | None) -> None:
        """The other end sends these bytes, or (None) its end of stream."""
        self.incoming.append(data)
        self._read()

    def reset(self) -> None:
        """The other end resets. A transport that neither reads nor writes does not hear it."""
        self.reset_by_peer = True
        self.incoming.clear()
        self.takes = False
        if not self.paused or self.outgoing:
            self._lose(ConnectionLost())

    def take(self, takes: bool) -> None:
        """The other end reads what is sent to it, or stops to."""
        self.takes = takes and not self.reset_by_peer
        self._flush()

    # What Twisted's transports do

    def write(self, data: bytes) -> None:
        if self.gone or self.write_ended or self.write_ending:
            return
        self.outgoing += data
        if self.producer is not None and len(self.outgoing) > BUFFER:
            self.producer_paused = True
            self.producer.pauseProducing()
        self.clock.callLater(0, self._flush)

    def writeSequence(self, chunks: list[bytes]) -> None:
        self.write(b"".join(chunks))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None, "two producers"
        if self.gone:
            producer.stopProducing()
        else:
            self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None
        self._flush_soon()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        if not self.gone and not self.closing:
            self.paused = False
            self.clock.callLater(0, self._read)

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        self.write_ending = True
        self._flush_soon()

    def loseConnection(self) -> None:
        self.closing = True
        self.paused = True
        self._flush_soon()

    def abortConnection(self) -> None:
        if not self.gone and not self.aborted:
            self.aborted = True
            self.clock.callLater(0, self._lose_now, ConnectionAborted())

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", self.port)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.9", 80)

    # The kernel

    def _flush_soon(self) -> None:
        self.clock.callLater(0, self._flush)

    def _flush(self) -> None:
        if self.gone:
            return
        if self.takes:
            self.delivered += self.outgoing
            self.outgoing = b""
        if self.outgoing:
            return
        if self.producer is not None and self.producer_paused:
            self.producer_paused = False
            self.producer.resumeProducing()
        elif self.producer is None or not self.closing:
            if self.write_ending and not self.write_ended:
                self.write_ended = True
                self.protocol.writeConnectionLost()
            if self.closing:
                self._lose(ConnectionDone())

    def _read(self) -> None:
        while self.incoming and not self.paused and not self.gone and not self.read_ended:
            data = self.incoming.pop(0)
            if data is None:
                self.read_ended = True
                self.protocol.readConnectionLost()
            else:
                self.protocol.dataReceived(data)

    def _lose(self, error: Exception) -> None:
        self.clock.callLater(0, self._lose_now, error)

    def _lose_now(self, error: Exception) -> None:
        if not self.gone:
            self.gone = True
            if self.producer is not None:
                producer, self.producer = self.producer, None
                producer.stopProducing()
            self.protocol.connectionLost(Failure(error))


@implementer(IDial)
class WireDial:
    """A dial that the test answers."""

    def __init__(self, engine: WireEngine, connect: str, factory: Any) -> None:
        self.engine, self.connect, self.factory = engine, connect, factory
        self.over = False

    def succeed(self) -> Wire:
        """The backend accepts."""
        self.over = True
        wire = Wire(self.engine.clock, 9001)
        self.engine.backends.append(wire)
        wire.protocol = self.factory.buildProtocol(None)
        wire.protocol.makeConnection(wire)
        return wire

    def fail(self, outcome: str = "refused") -> None:
        """It does not."""
        self.over = True
        self.factory.dialFailed(DialError(outcome, "no"))

    def cancel(self) -> None:
        self.over = True


@implementer(IEngine)
class WireEngine:
    """An engine of wires, which does not link."""

    name = "wire"
    links = False

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.dials: list[WireDial] = []
        self.backends: list[Wire] = []

    def dial(self, connect: str, factory: Any) -> WireDial:
        dial = WireDial(self, connect, factory)
        self.dials.append(dial)
        return dial

    def pending(self) -> WireDial | None:
        """The dial that is under way."""
        return next((dial for dial in self.dials if not dial.over), None)

    def unsent(self, wire: Wire) -> int:
        return len(wire.outgoing)

    def broken(self, wire: Wire) -> bool:
        return wire.reset_by_peer and not wire.gone

    def reset(self, wire: Wire, linger: float) -> None:
        deadline = self.clock.seconds() + linger

        def look() -> None:
            if wire.outgoing and not wire.gone and self.clock.seconds() < deadline:
                self.clock.callLater(0.5, look)
            else:
                wire.abortConnection()

        look()


class World:
    """A listener of one pool on wires. `events` is what the bus told."""

    def __init__(self, backends: int = 2, retries: int = 3, queue: QueueSpec | None = None, **pool: Any) -> None:
        self.clock = Clock()
        self.bus = EventBus()
        self.engine = WireEngine(self.clock)
        specs = tuple(
            BackendSpec(f"b{i}", f"tcp:192.0.2.{i}:1", max_connections=pool.pop("each", None)) for i in range(backends)
        )
        spec = PoolSpec("pool", specs, (StrategySpec("in-order"),), retries=retries, queue=queue or QueueSpec(), **pool)
        self.pool = Pool(spec, STRATEGIES, self.clock, random.Random(0), self.bus)
        self.listener = self.make_listener(ListenerSpec("web", ("tcp:80",), "pool", timeouts=TIMEOUTS))
        self.next_port = 50000

    def make_listener(self, spec: ListenerSpec, room_made: Any = lambda: None) -> Listener:
        """A listener on this world's pool and engine."""
        return Listener(spec, self.pool, self.engine, self.clock, self.bus, Gauge(None), Gauge(None), room_made)

    def accept(self, listener: Listener | None = None) -> Wire:
        """A client connects."""
        self.next_port += 1
        wire = Wire(self.clock, self.next_port)
        wire.protocol = (listener or self.listener).factory.buildProtocol(wire.getPeer())
        wire.protocol.makeConnection(wire)
        return wire

    def turn(self, seconds: float = 0) -> None:
        """Let the reactor go round, and time pass in steps."""
        for _ in range(4):
            self.clock.advance(0)
        while seconds > 0:
            self.clock.advance(min(STEP, seconds))
            seconds -= STEP
