"""The epoll engine as the proxy sees it. The package's docstring says how it is made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from zope.interface import implementer

from txlb.engines.epoll.acceptor import Acceptor
from txlb.engines.epoll.dialer import Dial
from txlb.engines.epoll.loop import Loop
from txlb.engines.epoll.resolver import Resolver
from txlb.engines.epoll.targets import Target, parse
from txlb.engines.epoll.transport import Transport, address_of
from txlb.engines.resets import ResetWatch
from txlb.engines.sockets import tune
from txlb.interfaces import IDialFactory, IEngine
from txlb.specs import TimeoutsSpec

SETTLED = 2.0
"""Seconds after which a dialled connection is old enough for keepalive to matter."""

SETTLED_AT_ONCE = 500
"""Connections given these options in one turn of the reactor."""

LISTENS = frozenset({"tcp", "tcp4", "tcp6", "unix", "systemd"})


@implementer(IEngine)
class EpollEngine:
    """See the package."""

    name = "epoll"
    links = True

    def __init__(self, reactor: Any, clock: IReactorTime) -> None:
        self.loop = Loop(reactor, clock)
        self.resolver = Resolver(clock, lambda *question: reactor.nameResolver.resolveHostName(*question))
        self._clock = clock
        self._sockets = TimeoutsSpec()
        self._resets = ResetWatch(clock)
        self._targets: dict[str, Target] = {}
        self._addresses: dict[Any, Any] = {}
        self._acceptors: list[Acceptor] = []
        self._young: list[int] = []
        self._aging: IDelayedCall | None = None

    def objection(self, listen: Iterable[str], connects: Iterable[str]) -> str | None:
        if not sys.platform.startswith("linux"):
            return "the epoll engine needs Linux"
        for description in listen:
            kind = description.partition(":")[0].lower()
            if kind not in LISTENS:
                return f"the epoll engine does not listen on {kind}: endpoints"
        for connect in connects:
            try:
                parse(connect)
            except ValueError as error:
                return f"the epoll engine cannot dial this: {error}"
        return None

    def prepare(self, connects: Iterable[str], sockets: TimeoutsSpec) -> None:
        self._targets = dict(_parsed(connects))
        self._addresses.clear()
        self.resolver.keep(self._targets.values())
        self._sockets = sockets
        for acceptor in self._acceptors:
            acceptor.tune(sockets)

    def serve(self, port: IListeningPort, factory: Any, room: Callable[[], int]) -> Acceptor:
        acceptor = Acceptor(self, port, factory, room)
        acceptor.tune(self._sockets)
        self._acceptors.append(acceptor)
        return acceptor

    def released(self, acceptor: Acceptor) -> None:
        """This acceptor serves no more."""
        self._acceptors.remove(acceptor)

    def dial(self, connect: str, factory: IDialFactory) -> Dial:
        dial = Dial(self, self._targets[connect], factory)
        dial.start()
        return dial

    def address(self, address: tuple[int, Any]) -> Any:
        """Twisted's address for a target's (family, sockaddr), made once."""
        known = self._addresses.get(address)
        if known is None:
            known = self._addresses[address] = address_of(*address)
        return known

    def link(self, client: Transport, backend: Transport) -> None:
        client.peer, backend.peer = backend, client
        backend.untold = True
        client.resumeProducing()
        backend.resumeProducing()

    def unsent(self, transport: Transport) -> int:
        return transport.unsent()

    def broken(self, transport: Transport) -> bool:
        return transport.broken

    def reset(self, transport: Transport, linger: float) -> None:
        if not transport.closed:
            transport.pauseProducing()
            self._resets.wait(transport, linger, transport.abortConnection, transport.unsent)

    def stop(self) -> None:
        for acceptor in tuple(self._acceptors):
            acceptor.release()
        self._resets.stop()
        self.resolver.stop()
        self.loop.stop()
        if self._aging is not None:
            self._aging.cancel()
            self._aging = None

    def dialled(self, fd: int) -> None:
        """A backend was reached; if it is still there in a while, its socket gets the options for long connections."""
        self._young.append(fd)
        if self._aging is None:
            self._aging = self._clock.callLater(SETTLED, self._settle)

    def _settle(self) -> None:
        self._aging = None
        young, self._young = self._young[:SETTLED_AT_ONCE], self._young[SETTLED_AT_ONCE:]
        if self._young:
            self._aging = self._clock.callLater(0, self._settle)
        for fd in set(young):
            transport = self.loop.table.get(fd)
            if isinstance(transport, Transport) and not transport.unix:
                tune(transport.getHandle(), self._sockets)


def _parsed(connects: Iterable[str]) -> Iterator[tuple[str, Target]]:
    for connect in connects:
        with suppress(ValueError):  # another engine takes over the listener in the same reload
            yield connect, parse(connect)
