"""A balancer without sockets: ports that are only remembered, and an engine that serves nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from txlb.interfaces import IAcceptor, IDial, IEngine
from txlb.proxy.sides import ClientSide
from txlb.service import engines
from txlb.service.balancer import Balancer
from txlb.service.ports import BoundPort, Doorway, Ports


@implementer(IAcceptor)
class FakeAcceptor:
    """Knows whether it accepts."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.accepting = True

    def pause(self) -> None:
        self.accepting = False

    def resume(self) -> None:
        self.accepting = True

    def accept_waiting(self) -> None:
        """Nobody waits here."""

    def release(self) -> None:
        self.accepting = False


@implementer(IDial)
class FakeDial:
    """One that is never answered, but by the test."""

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    def cancel(self) -> None:
        """Nothing is held."""


class FakeTransport:
    """A client that waits."""

    received = 0

    def pauseProducing(self) -> None:
        """It has nothing to say."""

    def abortConnection(self) -> None:
        """The test tells of the loss."""


@implementer(IEngine)
class FakeEngine:
    """Remembers what it was prepared for."""

    links = True
    name = "fake"

    def __init__(self, reactor: Any, clock: Any) -> None:
        self.connects: set[str] = set()
        self.dialled: list[str] = []
        self.stopped = False

    def objection(self, listen: Iterable[str], connects: Iterable[str]) -> str | None:
        return None

    def prepare(self, connects: Iterable[str], sockets: Any) -> None:
        self.connects = set(connects)

    def serve(self, port: Any, factory: Any, room: Any) -> FakeAcceptor:
        return FakeAcceptor(self)

    def dial(self, connect: str, factory: Any) -> FakeDial:
        self.dialled.append(connect)
        if connect not in self.connects:
            raise KeyError(connect)
        return FakeDial(factory)

    def stop(self) -> None:
        self.stopped = True


class PlainFakeEngine(FakeEngine):
    """One that serves what the other objects to."""

    name = "plain"


class PickyFakeEngine(FakeEngine):
    """One that cannot do TLS."""

    name = "picky"

    def prepare(self, connects: Iterable[str], sockets: Any) -> None:
        self.connects = {connect for connect in connects if self.objection((), [connect]) is None}

    def objection(self, listen: Iterable[str], connects: Iterable[str]) -> str | None:
        return "no TLS" if any(connect.startswith("tls:") for connect in connects) else None


class FakePort:
    """A bound port."""

    def __init__(self) -> None:
        self.closed = False
        self.reading = False

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 80)

    def startReading(self) -> None:
        self.reading = True

    def stopReading(self) -> None:
        self.reading = False

    def stopListening(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)


class FakePorts(Ports):
    """Binds in memory; those in `taken` cannot be bound."""

    def __init__(self) -> None:
        super().__init__(reactor=None)
        self.taken: set[str] = set()
        self.binds: list[str] = []

    def listen(self, description: str) -> Any:
        if description in self.taken:
            return fail(OSError(98, "Address already in use"))
        self.binds.append(description)
        return succeed(BoundPort(FakePort(), Doorway()))  # type: ignore[arg-type]


def make_balancer(case: Any) -> tuple[Balancer, FakePorts, Clock]:
    """A balancer on fakes."""
    case.patch(engines, "MAKERS", {"epoll": PickyFakeEngine, "reactor": PlainFakeEngine})
    clock, ports = Clock(), FakePorts()
    return Balancer(clock, clock=clock, rng=random.Random(0), ports=ports), ports, clock


def connect(balancer: Balancer, listener: str = "x") -> ClientSide:
    """A client of this listener."""
    client = balancer.listeners[listener].factory.buildProtocol(IPv4Address("TCP", "192.0.2.99", 5000))
    client.makeConnection(FakeTransport())
    return client
