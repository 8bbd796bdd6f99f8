"""Ports of several worker processes: the parent binds them and keeps them, each worker accepts on its own.

`tcp` and `tcp6`: as many sockets with SO_REUSEPORT as there are workers, the i-th for worker i and for whoever takes its
place. The kernel spreads new connections over them by a hash of the addresses. The parent holds all of them open, so a
worker that ends takes no queue of waiting clients along. `unix` and `systemd`: one socket, on which all workers accept.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from zope.interface import implementer

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import Endpoint, parse_endpoint
from txlb.engines.epoll.transport import address_of
from txlb.service.adopting import ANY, Given, adopt_unix, take_given
from txlb.service.ports import BACKLOG, BoundPort, Doorway, Ports

SPREAD = ("tcp", "tcp6")
SHARED = ("unix", "systemd")


def objection(description: str) -> str | None:
    """Why several workers cannot listen there; None where they can."""
    kind = parse_endpoint(description, SERVER).kind
    if kind in SPREAD + SHARED:
        return None
    return f"several workers cannot share {kind}: endpoints, only {', '.join(SPREAD + SHARED)}"


@implementer(IListeningPort)
@define(eq=False)
class Sockets:
    """The sockets of one endpoint string, one for each worker, or one for all. Nobody accepts in this process."""

    sockets: list[socket.socket]

    def descriptor(self, worker: int) -> int:
        """The descriptor of that worker's socket."""
        return self.sockets[worker % len(self.sockets)].fileno()

    def startListening(self) -> None:
        """They were bound listening."""

    def stopListening(self) -> Deferred[None]:
        for sock in self.sockets:
            sock.close()
        return succeed(None)

    def getHost(self) -> Any:
        return address_of(self.sockets[0].family, self.sockets[0].getsockname())


class ParentPorts(Ports):
    """What the parent of `workers` workers listens on, for them. `given` are sockets, by endpoint string, that another
    parent had bound and handed over: they are taken instead of binding anew."""

    def __init__(self, reactor: Any, workers: int, given: Given | None = None) -> None:
        super().__init__(reactor, given=given if given is not None else {})
        self._workers = workers

    def listen(self, description: str) -> Deferred[Any]:
        """A new BoundPort."""
        return maybeDeferred(self._listen, description)

    def _listen(self, description: str) -> Any:
        endpoint = parse_endpoint(description, SERVER)
        if endpoint.kind in SPREAD:
            sockets = take_given(self.given, description) or _bind(endpoint, self._workers)
            for sock in sockets:
                sock.listen(int(endpoint.values.get("backlog", BACKLOG)))
            return BoundPort(Sockets(sockets), Doorway())
        return super().listen(description)

    def descriptors(self, worker: int, descriptions: Iterable[str]) -> list[int]:
        """The descriptors of a worker's sockets for these endpoint strings, in their order."""
        return [_descriptor(self.bound[description].port, worker) for description in descriptions]

    def sockets(self) -> dict[str, list[int]]:
        """The descriptors of all sockets by endpoint string, to be handed over to another parent."""
        return {
            description: list(dict.fromkeys(_descriptor(bound.port, worker) for worker in range(self._workers)))
            for description, bound in self.bound.items()
        }


class WorkerPorts(Ports):
    """What one worker listens on: descriptors that it is given by the parent. They are this object's to close."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self._given: dict[str, int] = {}

    def give(self, descriptors: Mapping[str, int]) -> None:
        """These may be asked for from now on."""
        self._given |= descriptors

    def take_back(self) -> None:
        """Those that nobody asked for are not wanted."""
        for descriptor in self._given.values():
            os.close(descriptor)
        self._given.clear()

    def listen(self, description: str) -> Deferred[Any]:
        """A BoundPort on the descriptor given for this endpoint string."""
        return maybeDeferred(self._adopt, description)

    def _inherit(self, description: str, leaving: Collection[str]) -> dict[str, str]:
        """The parent does that, and gives what comes of it."""
        return {}

    def _adopt(self, description: str) -> BoundPort:
        descriptor = self._given.pop(description)
        doorway = Doorway()
        with socket.socket(fileno=descriptor) as sock:
            sock.setblocking(False)
            if sock.family == socket.AF_UNIX:
                port: Any = adopt_unix(self.reactor, sock.fileno(), doorway)
            else:
                port = self.reactor.adoptStreamPort(sock.fileno(), sock.family, doorway)
        port.stopReading()
        return BoundPort(port, doorway)


def _descriptor(port: Any, worker: int) -> int:
    return port.descriptor(worker) if isinstance(port, Sockets) else port.socket.fileno()


def _bind(endpoint: Endpoint, workers: int) -> list[socket.socket]:
    """One listening socket for each worker. Raises OSError where the port is somebody else's, also where that one would
    share it."""
    interface = endpoint.values.get("interface", "")
    family = socket.AF_INET6 if endpoint.kind == "tcp6" or ":" in interface else socket.AF_INET
    address = socket.getaddrinfo(interface or ANY[family], int(endpoint.values["port"]), family, socket.SOCK_STREAM)[0][
        4
    ]
    backlog = int(endpoint.values.get("backlog", BACKLOG))
    with _socket(family) as probe:
        probe.bind(address)
    bound: list[socket.socket] = []
    try:
        for _ in range(workers):
            sock = _socket(family)
            bound.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(bound[0].getsockname() if len(bound) > 1 else address)
            sock.listen(backlog)
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def _socket(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock
