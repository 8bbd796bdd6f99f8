"""Listening on sockets that another process has bound, and leaving them to another one.

Several processes may hold the very same listening socket, with one queue of clients, and any of them may accept. So who
lets go of it must only close it: `shutdown`, which Twisted calls on sockets that it bound, would end the queue for
all. A UNIX socket's file, and the lock beside it, belong to one of them at a time, and go when that one closes.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from types import MethodType
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure
from twisted.python.lockfile import FilesystemLock
from zope.interface import directlyProvides, providedBy

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import Endpoint, parse_endpoint

ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
DEFAULT_MODE = 0o666

Given = dict[str, list[socket.socket]]
"""Sockets by the endpoint string that they were bound for: one, or one for each worker."""


class UnixPort(unix.Port):
    """A UNIX port on a socket that another process has bound. Its file is that one's until `own` is called."""

    owned = False

    def startListening(self) -> None:
        """Listen, and leave the file alone."""
        assert self._preexistingSocket is not None
        self.socket, self._preexistingSocket = self._preexistingSocket, None
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.connected = True
        self.numberAccepts = 100
        self._shouldShutdown = False
        self.startReading()

    def own(self) -> None:
        """The file is this process's from now on, to be removed when the port is closed."""
        if self.owned:
            return
        self.owned = True
        if _is_file(self._bindPath):
            os.chmod(self._bindPath, self.mode)  # noqa: PTH101 (bytes)
            if self.wantPID:
                self.lockFile = _take_lock(self._bindPath)

    def connectionLost(self, reason: Failure) -> None:
        """It is closed."""
        if self.owned:
            super().connectionLost(reason)
        else:
            tcp.Port.connectionLost(self, reason)


class SystemdUnixPort(UnixPort):
    """One whose file is systemd's, and stays."""

    def own(self) -> None:
        """Nobody's but systemd's."""


class Adopting:
    """The reactor, to an endpoint that shall listen on `sock` instead of binding one of its own. None: it is a `systemd:`
    endpoint, which binds none; Twisted would change the mode of a UNIX socket's file, and remove it at the end."""

    def __init__(self, reactor: Any, sock: socket.socket | None) -> None:
        self._reactor = reactor
        self._sock = sock
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        """A port on the socket."""
        sock = self._sock
        assert sock is not None
        adopted: IListeningPort = self._reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
        return adopted

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """A port on the socket that speaks TLS: the reactor's own way, which ends in `listenTCP`."""
        return type(self._reactor).listenSSL(self, port, factory, contextFactory, backlog, interface)

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = DEFAULT_MODE, wantPID: int = 0
    ) -> IListeningPort:
        """A port on the socket, whose file is not yet this process's."""
        assert self._sock is not None
        port = adopt_unix(self._reactor, self._sock.fileno(), factory)
        port.mode, port.wantPID = mode, wantPID
        return port

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Any) -> IListeningPort:
        """A port on a socket of systemd's."""
        if addressFamily == socket.AF_UNIX:
            return adopt_unix(self._reactor, fileDescriptor, factory, SystemdUnixPort)
        adopted: IListeningPort = self._reactor.adoptStreamPort(fileDescriptor, addressFamily, factory)
        return adopted


def adopt_unix(reactor: Any, descriptor: int, factory: Any, kind: type[UnixPort] = UnixPort) -> UnixPort:
    """A port on a duplicate of this UNIX socket."""
    port = kind._fromListeningDescriptor(reactor, descriptor, factory)
    assert isinstance(port, UnixPort)
    port.startListening()
    return port


def take_given(given: Given, description: str) -> list[socket.socket]:
    """The sockets for this endpoint string, which are the caller's from now on: those that were bound for it, or for
    the same address in other words; none where there are none."""
    if description in given:
        return given.pop(description)
    endpoint = parse_endpoint(description, SERVER)
    for other, socks in given.items():
        if _is_at(endpoint, socks[0]):
            return given.pop(other)
    return []


def leave(port: Any) -> None:
    """Another process has this port's socket: when the port is closed, nothing but the descriptor is to go."""
    if isinstance(port, tcp.Port):
        port._shouldShutdown = False
        port.connectionLost = MethodType(tcp.Port.connectionLost, port)  # type: ignore[method-assign]


def discard(given: Given, owned: bool) -> None:
    """Close sockets that nobody wanted. Where they were `owned`, files of UNIX sockets go too."""
    for sock in [sock for socks in given.values() for sock in socks]:
        path = sock.getsockname() if sock.family == socket.AF_UNIX else b""
        sock.close()
        if owned and _is_file(path):
            for name in (os.fsencode(path), os.fsencode(path) + b".lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)  # noqa: PTH108 (bytes)
    given.clear()


def descriptors(ports: Mapping[str, Any]) -> dict[str, list[int]]:
    """The descriptors of these ports by endpoint string, of those that have one."""
    return {description: [port.socket.fileno()] for description, port in ports.items() if hasattr(port, "socket")}


def _is_at(endpoint: Endpoint, sock: socket.socket) -> bool:
    if endpoint.kind == "unix":
        return sock.family == socket.AF_UNIX and sock.getsockname() == endpoint.values["address"]
    if sock.family not in ANY or "port" not in endpoint.values:
        return False
    host, port = sock.getsockname()[:2]
    family = (
        socket.AF_INET6 if endpoint.kind == "tcp6" or ":" in endpoint.values.get("interface", "") else socket.AF_INET
    )
    return family == sock.family and (
        endpoint.values.get("interface") or ANY[family],
        int(endpoint.values["port"]),
    ) == (
        host,
        port,
    )


def _is_file(path: str | bytes) -> bool:
    return bool(path) and path[:1] not in ("\0", b"\0")


def _take_lock(path: bytes) -> FilesystemLock:
    """The lock that Twisted keeps beside a UNIX socket names its owner. It passes on without a moment in which there is
    none."""
    name = os.fsencode(path) + b".lock"
    ours = name + b".%d" % os.getpid()
    os.symlink(str(os.getpid()).encode(), ours)  # noqa: PTH211 (bytes)
    os.replace(ours, name)  # noqa: PTH105 (bytes)
    lock = FilesystemLock(name)
    lock.locked = lock.clean = True
    return lock
