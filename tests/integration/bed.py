"""A balancer in this process with servers and clients around it, for tests that are coroutines.

    server = await self.server()
    port = await self.balance([server], retries=1)
    self.assertEqual(b"hello", await self.ask(port, b"hello"))

Whatever a test opens is closed when it ends; what the balancer leaves behind, trial finds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from attrs import define, evolve, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from txlb import events
from txlb.service.balancer import Balancer
from txlb.specs import BackendSpec, Config, ListenerSpec, PoolSpec

KINDS = (
    events.BackendUp,
    events.BackendDown,
    events.BackendEjected,
    events.BackendReturned,
    events.Panic,
    events.PluginFailed,
    events.ConnectionClosed,
    events.Reloaded,
)


async def until(condition: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """Wait for a condition and return what it said; AssertionError when it does not come true in time."""
    deadline = reactor.seconds() + seconds
    while not (found := condition()):
        if reactor.seconds() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        await deferLater(reactor, 0.005)
    return found


class Client(Protocol):
    """One connection; `lost` is how it ended, while it is None it has not."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.lost = reason

    @property
    def was_reset(self) -> bool:
        """Whether it ended otherwise than in order."""
        return self.lost is not None and not self.lost.check(ConnectionDone)

    async def read(self, size: int, seconds: float = 10.0) -> bytes:
        """The first bytes that came; AssertionError when the connection ends before."""
        await until(lambda: len(self.received) >= size or self.lost, f"{size} bytes", seconds)
        if len(self.received) < size:
            raise AssertionError(f"the connection ended after {self.received!r}: {self.lost}")
        return self.received[:size]

    async def ended(self, seconds: float = 10.0) -> None:
        """Wait for the end."""
        await until(lambda: self.lost, "the end of a connection", seconds)


@implementer(IHalfCloseableProtocol)
class _Served(Protocol):
    transport: Any

    def __init__(self, server: Server) -> None:
        self.server = server

    def connectionMade(self) -> None:
        self.server.open.append(self)
        self.server.dials += 1
        if self.server.resets:
            self.transport.abortConnection()
        elif self.server.greets:
            self.transport.write(self.server.name.encode())

    def dataReceived(self, data: bytes) -> None:
        if not self.server.greets:
            self.transport.write(data)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing follows from it."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.server.open.remove(self)


@define(eq=False)
class Server:
    """A backend that echoes; one that `greets` says its name instead, one that `resets` hangs up at once."""

    name: str
    greets: bool = False
    resets: bool = False
    number: int = 0
    dials: int = 0
    open: list[_Served] = field(factory=list)
    port: Any = None

    async def listen(self) -> None:
        """Accept, at the same port as before if there was one."""
        factory = Factory.forProtocol(_Served)
        factory.noisy = False
        factory.buildProtocol = lambda address: _Served(self)  # type: ignore[method-assign]
        self.port = await TCP4ServerEndpoint(reactor, self.number, 4096, "127.0.0.1").listen(factory)
        self.number = self.port.getHost().port

    async def close(self) -> None:
        """Refuse from now on; what is open stays."""
        port, self.port = self.port, None
        if port is not None:
            await port.stopListening()

    def spec(self, **options: Any) -> BackendSpec:
        """It as a backend."""
        return BackendSpec(self.name, f"tcp:127.0.0.1:{self.number}", **options)


class Bed(TestCase):
    """The means of a test; `engine` is which one serves."""

    engine: ClassVar[str] = "epoll"
    timeout = 60

    def setUp(self) -> None:
        """Nothing runs yet."""
        self.balancer: Any = None
        self.config = Config()
        self.happened: list[Any] = []
        self.servers: list[Server] = []
        self.clients: list[Client] = []

    async def tearDown(self) -> None:
        """Stop everything, in the order in which a leak would be seen."""
        for client in self.clients:
            if client.lost is None and client.transport is not None:
                client.transport.abortConnection()
        if self.balancer is not None:
            await self.balancer.stop()
        for server in self.servers:
            await server.close()
            for served in list(server.open):
                served.transport.abortConnection()
        await until(lambda: not any(server.open for server in self.servers), "the servers' connections to end")
        await until(lambda: all(client.lost for client in self.clients), "the clients to end")
        self.balancer = None
        self.servers.clear()
        self.clients.clear()

    async def server(self, **options: Any) -> Server:
        """A backend's server, s0, s1, …"""
        server = Server(f"s{len(self.servers)}", **options)
        self.servers.append(server)
        await server.listen()
        return server

    async def balance(
        self,
        backends: Iterable[Server | BackendSpec],
        *,
        listener: dict[str, Any] | None = None,
        balancer: dict[str, Any] | None = None,
        **pool: Any,
    ) -> int:
        """Start a balancer with one listener `web` and one pool `servers`; returns its port."""
        specs = tuple(one.spec() if isinstance(one, Server) else one for one in backends)
        web = ListenerSpec("web", ("tcp:0:interface=127.0.0.1",), "servers", self.engine, **(listener or {}))
        self.config = Config({"web": web}, {"servers": PoolSpec("servers", specs, **pool)}, drain_timeout=5.0)
        self.balancer = Balancer(reactor, rng=random.Random(1), **(balancer or {}))
        for kind in KINDS:
            self.balancer.bus.subscribe(kind, self.happened.append)
        await self.balancer.start(self.config)
        return int(self.balancer.addresses("web")[0].port)

    def changed(self, pool: dict[str, Any] | None = None, **listener: Any) -> Config:
        """The configuration with these values of the pool and of the listener changed."""
        web = evolve(self.config.listeners["web"], **listener)
        servers = evolve(self.config.pools["servers"], **(pool or {}))
        self.config = evolve(self.config, listeners={"web": web}, pools={"servers": servers})
        return self.config

    @property
    def pool(self) -> Any:
        """The running pool."""
        return self.balancer.pools["servers"]

    @property
    def web(self) -> Any:
        """The running listener."""
        return self.balancer.listeners["web"]

    def events(self, kind: type) -> list[Any]:
        """What happened of this kind so far."""
        return [event for event in self.happened if isinstance(event, kind)]

    def outcomes(self) -> dict[str, int]:
        """How many connections ended in which way."""
        return {name: count for name, count in self.web.outcomes.items() if count}

    def dial(self, port: int, source: str = "127.0.0.1") -> Deferred[Client]:
        """A client's connection, when it is there."""
        client = Client()
        self.clients.append(client)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, bindAddress=(source, 0))
        connecting = connectProtocol(endpoint, client)
        connecting.addErrback(self._not_connected, client)
        return connecting

    def _not_connected(self, failure: Failure, client: Client) -> Client:
        """A reset may come before `connect` has returned."""
        client.lost = failure
        return client

    async def ask(self, port: int, data: bytes = b"hello", source: str = "127.0.0.1") -> bytes | None:
        """Connect, send, read as much and close; None where the connection did not live so long."""
        client = await self.dial(port, source)
        if client.lost:
            return None
        client.transport.write(data)
        await until(lambda: len(client.received) >= len(data) or client.lost, "an answer")
        client.transport.loseConnection()
        await client.ended()
        return client.received[: len(data)] or None

    async def name(self, port: int) -> str:
        """Which greeting server a new client gets; empty where none."""
        return ((await self.ask(port, b"??")) or b"").decode()

    async def stays(self, port: int, greeting: int = 2) -> Client:
        """A client that is linked to a greeting server, and stays."""
        client = await self.dial(port)
        await client.read(greeting)
        return client

    async def settled(self) -> None:
        """Wait until no connection is open in the balancer."""
        await until(lambda: not self.balancer.open, "the balancer to be empty")
        await until(lambda: not self.pool.open, "the pool to have its leases back")
