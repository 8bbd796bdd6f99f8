"""A pool and checks that do as they are told, and a network in memory."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb.interfaces import IHealthCheck
from txlb.model.states import AdminState, HealthState
from txlb.plugin import HealthCheckMaker
from txlb.registry import Registry, health_checks
from txlb.specs import BackendSpec, HealthSpec, PoolSpec


@define(eq=False)
class FakeBackend:
    """A backend as a watch sees it."""

    spec: BackendSpec
    admin: AdminState = AdminState.READY
    health: HealthState = HealthState.UNKNOWN


@define(eq=False)
class FakePool:
    """Remembers what it was told to observe."""

    spec: PoolSpec
    backends: dict[str, FakeBackend] = field(factory=dict)
    observed: list[tuple[str, bool, str]] = field(factory=list)

    @property
    def name(self) -> str:
        return self.spec.name

    def observe(self, name: str, ok: bool, reason: str) -> None:
        self.observed.append((name, ok, reason))
        self.backends[name].health = HealthState.UP if ok else HealthState.DOWN


def fake_pool(count: int = 1, **health: Any) -> FakePool:
    """A pool of backends b0, b1, … whose addresses are their names."""
    health.setdefault("check", "scripted")
    specs = tuple(BackendSpec(f"b{n}", f"tcp:b{n}:1") for n in range(count))
    pool = FakePool(PoolSpec("web", specs, health=HealthSpec(**health)))
    pool.backends = {spec.name: FakeBackend(spec) for spec in specs}
    return pool


def registry_of(asked: list[tuple[float, str]], answer: Any, name: str = "scripted") -> Registry:
    """A registry of one check, which answers with what `answer(connect)` returns and notes when and where in `asked`."""

    @implementer(IHealthCheck)
    @define
    class Scripted:
        clock: Any

        def probe(self, connect: str) -> Any:
            asked.append((self.clock.seconds(), connect))
            return answer(connect)

    class Maker(HealthCheckMaker):
        def load(self) -> type:
            return Scripted

    return health_checks([Maker(name, "tests:Scripted", "for tests")])


@define
class Network:
    """Connections that a check makes in memory: `connected()` lets the next one succeed."""

    reactor: MemoryReactorClock = field(factory=MemoryReactorClock)

    def connected(self) -> tuple[Any, StringTransport]:
        """Let the connection that was asked for last succeed; its protocol and its transport."""
        factory = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(None)
        transport = ClosingTransport(protocol, self.reactor)
        protocol.makeConnection(transport)
        return protocol, transport

    def refused(self, reason: BaseException) -> None:
        """Let the connection that was asked for last fail."""
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(reason))


class ClosingTransport(StringTransport):
    """Tells the protocol of its own close in the next turn, as a socket with nothing left to send does."""

    def __init__(self, protocol: Any, reactor: MemoryReactorClock) -> None:
        super().__init__()
        self._protocol = protocol
        self._reactor = reactor
        self.gone = False

    def loseConnection(self) -> None:
        super().loseConnection()
        self._lose(ConnectionDone())

    def abortConnection(self) -> None:
        super().abortConnection()
        self._lose(ConnectionAborted())

    def closed_by_backend(self) -> None:
        """The other end closes."""
        self._lose(ConnectionDone())

    def _lose(self, why: BaseException) -> None:
        if not self.gone:
            self.gone = True
            self._reactor.callLater(0, self._protocol.connectionLost, Failure(why))


def silent(_: str) -> Deferred[str]:
    """A check that never answers, but can be cancelled."""
    return Deferred()
