"""What is under test, and what a test needs around it. `Txlb` is the balancer in this process; `peers` has others.

A `Setup` says what a proxy shall do, in words that each of them can be configured with; a *subject* starts a proxy from
it; a `Stage` holds one test's proxy and sockets and knows when everything is back to where it was. All of it blocks and
belongs in a thread, while txlb runs in the reactor of the main one.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from tests.integration import wire
from tests.integration.wire import Backend, Place, until
from txlb.service.balancer import Balancer
from txlb.specs import BackendSpec, Config, ListenerSpec, OutlierSpec, PoolSpec, TimeoutsSpec


@frozen
class Setup:
    """One listener and one pool. Outlier ejection is off, so that a test's own failures do not change the next."""

    backends: tuple[Place, ...]
    listen: str = "tcp"
    timeouts: TimeoutsSpec = field(factory=TimeoutsSpec)
    send_proxy: str = "none"
    max_connections: int | None = None
    retries: int = 3


class Running(Protocol):
    """A proxy that serves at `place`."""

    place: Place

    def descriptors(self) -> int: ...
    def resident(self) -> int: ...
    def timers(self) -> int: ...
    def stop(self) -> None: ...


class Subject(Protocol):
    """Starts proxies of one kind."""

    name: str

    def start(self, setup: Setup) -> Running: ...


@define
class Txlb:
    """The balancer in this process, with one engine."""

    engine: str
    name: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.name = f"txlb {self.engine}"

    def config(self, setup: Setup) -> Config:
        """What an operator would have written."""
        address = {"tcp": "tcp:0:interface=127.0.0.1", "tcp6": r"tcp:0:interface=\:\:1"}.get(setup.listen)
        listener = ListenerSpec(
            "front",
            (address or f"unix:{wire.fresh('unix')}",),
            "back",
            self.engine,
            setup.max_connections,
            timeouts=setup.timeouts,
        )
        backends = tuple(BackendSpec(f"b{n}", place.client_string) for n, place in enumerate(setup.backends))
        pool = PoolSpec(
            "back", backends, retries=setup.retries, send_proxy=setup.send_proxy, outliers=OutlierSpec(failures=0)
        )
        return Config({"front": listener}, {"back": pool}, drain_timeout=0.2)

    def start(self, setup: Setup) -> Running:
        """A `Balancer` that listens."""
        balancer = blockingCallFromThread(reactor, Balancer, reactor)
        blockingCallFromThread(reactor, balancer.start, self.config(setup))
        (address,) = blockingCallFromThread(reactor, balancer.addresses, "front")
        where = address.name if setup.listen == "unix" else (address.host, address.port)
        return InProcess(Place(setup.listen, where), balancer)


HOUSEKEEPING = frozenset({"_settle", "_next_second"})
"""Delayed calls that come once, whatever connections do: the epoll engine's look, two seconds
later, at those that last, and the failure log's second. That a stop ends them is seen by trial."""


def _matters(call: Any) -> bool:
    return getattr(call.func, "__name__", "") not in HOUSEKEEPING


@define
class InProcess:
    """A `Balancer` in this process; the test's own sockets are not counted."""

    place: Place
    balancer: Any

    def descriptors(self) -> int:
        """All that this process holds but for the test's."""
        return wire.descriptors() - wire.own_descriptors()

    def resident(self) -> int:
        """Bytes, the test's own included."""
        return wire.resident()

    def timers(self) -> int:
        """Delayed calls that are pending in the reactor, but for `HOUSEKEEPING`."""
        return blockingCallFromThread(reactor, lambda: sum(map(_matters, reactor.getDelayedCalls())))

    def stop(self) -> None:
        """Stop it, whatever is still open."""
        blockingCallFromThread(reactor, self.balancer.stop)


@define
class Stage:
    """One test's backends, clients and proxy."""

    subject: Subject
    proxy: Any = None
    before: tuple[int, int] = (0, 0)
    cleanups: list[Callable[[], Any]] = field(factory=list)

    def open(self, *backends: Place, **options: Any) -> Running:
        """Start the proxy in front of these; what it holds now is what it must hold in the end."""
        self.proxy = self.subject.start(Setup(backends, **options))
        self.before = (self.proxy.descriptors(), self.proxy.timers())
        return self.proxy

    def client(self) -> socket.socket:
        """A connection to the proxy."""
        return wire.dial(self.proxy.place)

    def pair(self, kind: str = "tcp", **options: Any) -> tuple[socket.socket, socket.socket]:
        """Both ends of one connection through the proxy: the client's and the backend's."""
        backend = Backend(kind)
        self.open(backend.place, **options)
        client = self.client()
        return client, backend.accept()

    def settled(self, patience: float = wire.PATIENCE) -> None:
        """Wait until the proxy holds no descriptor and no timer more than before the first connection."""
        if self.proxy is not None:
            proxy, (held, pending) = self.proxy, self.before
            until(
                lambda: proxy.descriptors() <= held,
                lambda: f"{proxy.descriptors()} descriptors, {held} before",
                patience,
            )
            until(lambda: proxy.timers() <= pending, lambda: f"{proxy.timers()} timers, {pending} before", patience)

    def play(self, script: Callable[[], Any]) -> None:
        """Run a script; afterwards, close the test's sockets, and when all went well see that the proxy settles."""
        try:
            script()
            wire.close_own()
            self.settled()
        finally:
            self.close()

    def close(self) -> None:
        """Stop everything. A Deferred that failed unseen is logged now, and trial then fails the test."""
        wire.close_own()
        for cleanup in self.cleanups:
            cleanup()
        if self.proxy is not None:
            self.proxy.stop()
            self.proxy = None
        if isinstance(self.subject, Txlb):
            blockingCallFromThread(reactor, gc.collect)
