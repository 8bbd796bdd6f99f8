"""A balancer with real pools and no ports, an admin over it, and clients without sockets on a clock of the test's."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txlb import registry
from txlb.admin.access import Access
from txlb.admin.pages import Page
from txlb.admin.server import Admin
from txlb.events import EventBus
from txlb.model.pool import Pool
from txlb.service.control import LocalControl
from txlb.specs import BackendSpec, PoolSpec

HERE = IPv4Address("TCP", "127.0.0.1", 9090)
THERE = IPv4Address("TCP", "127.0.0.1", 40000)
HOST = "localhost:9090"
PAGES = {"": Page(b"<html>", "text/html", '"1"'), "app.js": Page(b"let a", "text/javascript", '"2"')}
STARTED = 1_700_000_000.0


@define(eq=False)
class House:
    """As much of a balancer as `LocalControl` needs."""

    clock: Clock
    bus: EventBus = field(factory=EventBus)
    pools: dict[str, Pool] = field(factory=dict)
    listeners: dict[str, Any] = field(factory=dict)
    draining: bool = False
    objects: str | None = None

    def ready(self) -> bool:
        """As the real one says."""
        return not self.draining and all(pool.offered for pool in self.pools.values())

    def objection(self, pool: str, connect: str) -> str | None:
        """What the test wants an engine to say."""
        return self.objects


class Wire(StringTransport):
    """The server's end of a connection; the other end takes everything unless the test is slow on purpose."""

    def __init__(self, here: Any, there: Any) -> None:
        super().__init__(hostAddress=here, peerAddress=there)
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.end(ConnectionAborted())

    def loseConnection(self) -> None:
        super().loseConnection()
        self.end(ConnectionDone())

    def end(self, why: Exception) -> None:
        """The connection is over."""
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            self.connected = False
            protocol.connectionLost(Failure(why))

    protocol: Any = None


@define
class Response:
    """One answer, taken apart."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which has to say that it is JSON."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.body)


@define
class Client:
    """One connection to the admin."""

    wire: Wire
    protocol: Any
    clock: Clock

    def send(self, data: bytes) -> None:
        """Bytes arrive, as long as the admin reads, and the admin gets the turns that it asks for."""
        if self.wire.protocol is not None:
            self.protocol.dataReceived(data)
        self.clock.advance(0)

    def taken(self) -> bytes:
        """What was written since the last time."""
        data = self.wire.value()
        self.wire.clear()
        return data

    def answers(self) -> list[Response]:
        """The answers written since the last time; each has a length or ends with the connection."""
        return parse(self.taken())

    @property
    def open(self) -> bool:
        """Whether the connection is."""
        return self.wire.protocol is not None


def parse(data: bytes) -> list[Response]:
    """Responses one behind the other."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        found.append(Response(int(status.split()[1]), headers, data[:length]))
        data = data[length:]
    return found


class World:
    """Everything, with one pool `web` of backends `a` and `b`."""

    def __init__(self, metrics: Any = lambda: b"txlb_up 1\n", access: Access | None = None) -> None:
        self.clock = Clock()
        self.house = House(self.clock)
        self.reloads: list[Callable[[], Deferred[None]]] = []
        backends = (BackendSpec("a", "tcp:127.0.0.1:9001"), BackendSpec("b", "tcp:127.0.0.1:9002", weight=2))
        self.pool = self.add_pool(PoolSpec("web", backends))
        self.control = LocalControl(self.house, self._read_again)  # type: ignore[arg-type]
        self.admin = Admin(
            self.control,
            MemoryReactorClock(),
            self.clock,
            metrics=metrics,
            facts=lambda: {"config": "config.yaml"},
            pages=PAGES,
            now=lambda: STARTED + self.clock.seconds(),
        )
        if access is not None:
            self.admin.admit(access)

    def add_pool(self, spec: PoolSpec) -> Pool:
        """One more."""
        pool = Pool(spec, registry.strategies(), self.clock, random.Random(1), self.house.bus)
        self.house.pools[spec.name] = pool
        return pool

    def connect(self, here: Any = HERE, there: Any = THERE) -> Client:
        """A client, at the addresses of the two ends."""
        wire = Wire(here, there)
        protocol = self.admin.factory.buildProtocol(there)
        assert protocol is not None
        wire.protocol = protocol
        protocol.makeConnection(wire)
        return Client(wire, protocol, self.clock)

    def connect_unix(self) -> Client:
        """A client on a UNIX socket."""
        return self.connect(UNIXAddress("/run/admin.sock"), UNIXAddress(""))

    def ask(self, method: str, path: str, body: Any = None, client: Client | None = None, **headers: str) -> Response:
        """One request and its answer. Header names are written with underscores; None as a value leaves one out."""
        client = client or self.connect()
        client.send(request(method, path, body, **headers))
        (answer,) = client.answers()
        return answer

    def _read_again(self) -> Deferred[None]:
        return self.reloads.pop()() if self.reloads else succeed(None)


def request(method: str, path: str, body: Any = None, **headers: str | None) -> bytes:
    """The bytes of a request; `body` is JSON unless it is bytes."""
    said: dict[str, str | None] = {"host": HOST}
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if body is not None:
        said |= {"content-type": "application/json", "content-length": str(len(data))}
    said |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in said.items() if value is not None]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + data


class LogCase(SynchronousTestCase):
    """Collects log lines."""

    def setUp(self) -> None:
        self.lines: list[str] = []

        def observe(event: Any) -> None:
            self.lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
