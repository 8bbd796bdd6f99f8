"""The bound ports, by their endpoint strings. They outlive reloads, and whoever serves them at the moment."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Iterable
from typing import Any

from attrs import define, field
from OpenSSL.SSL import NO_OVERLAPPING_PROTOCOLS
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, ILoggingContext
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import parse_endpoint
from txlb.errors import TxlbError
from txlb.interfaces import IAcceptor
from txlb.service import adopting
from txlb.service.adopting import Adopting, Given
from txlb.specs import Config

BACKLOG = 4096
"""Clients that may wait to be accepted; the kernel caps it at net.core.somaxconn. Twisted's own default is 50."""

Serve = Callable[[IListeningPort, Factory], IAcceptor]


class PortUnavailable(TxlbError):
    """A port cannot be bound; the message says which and why."""


@implementer(ILoggingContext)
class Doorway(Factory):
    """The factory that a port is bound with, once, by an endpoint that may have wrapped it. It leads to the factory of
    whoever serves the port now."""

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's own log lines about the port begin with."""
        return "txlb"

    def lead_to(self, factory: Factory) -> None:
        """Have that factory build the protocols, without a step in between."""
        self.buildProtocol = factory.buildProtocol  # type: ignore[method-assign]


@define(eq=False)
class BoundPort:
    """A port, and who serves it. While nobody does, it accepts nothing."""

    port: IListeningPort
    doorway: Doorway
    server: object = None
    acceptor: Any = None

    def hand_to(self, server: object, factory: Factory, serve: Serve) -> None:
        """Have it served by `server` (any value that is equal only for the same service) from now on."""
        if self.server != server:
            self.release()
            self.doorway.lead_to(factory)
            self.server, self.acceptor = server, serve(self.port, self.doorway)

    def release(self) -> None:
        """Have it served by nobody."""
        if self.acceptor is not None:
            self.acceptor.release()
        self.server = self.acceptor = None


@define
class Ports:
    """Binds ports and keeps them. `given` are sockets that another process has bound (`txlb.service.upgrade`); they are
    taken where they are asked for."""

    reactor: Any
    bound: dict[str, BoundPort] = field(factory=dict)
    given: Given = field(factory=dict)
    _heirs: dict[str, str] = field(factory=dict)

    @inlineCallbacks
    def bind(self, descriptions: Iterable[str], leaving: Collection[str] = ()) -> Any:
        """Bind those of these endpoint strings that are not bound yet: all of them, or none and PortUnavailable. Where one
        of those that are `leaving` is at the same address, its socket is taken: both listen on it until that is closed."""
        new: dict[str, BoundPort] = {}
        heirs: dict[str, str] = {}
        for description in descriptions:
            if description in self.bound or description in new:
                continue
            heirs |= self._inherit(description, leaving)
            try:
                new[description] = yield self.listen(description)
            except (CannotListenError, OSError, ValueError, IndexError) as error:
                yield gatherResults([maybeDeferred(bound.port.stopListening) for bound in new.values()])
                raise PortUnavailable(
                    f"cannot listen on {description}: {_reason(error)}{self._hint(description)}"
                ) from error
        self.bound.update(new)
        self._heirs.update(heirs)

    def _hint(self, description: str) -> str:
        """What to do where this process itself is in the way: addresses may overlap without being the same."""
        port = parse_endpoint(description, SERVER).values.get("port")
        for other in self.bound if port is not None else ():
            if parse_endpoint(other, SERVER).values.get("port") == port:
                return f" (there is {other}: take that out with one reload, and put this in with the next)"
        return ""

    def _inherit(self, description: str, leaving: Collection[str]) -> dict[str, str]:
        """Give this endpoint string the sockets of one that is leaving its address; returns which."""
        held = {other: numbers for other, numbers in self.sockets().items() if other in leaving and numbers}
        for other, numbers in held.items():
            lent = {other: [socket.socket(fileno=os.dup(number)) for number in numbers]}
            if socks := adopting.take_given(lent, description):
                self.given[description] = socks
                return {other: description}
            adopting.discard(lent, owned=False)
        return {}

    @inlineCallbacks
    def listen(self, description: str) -> Any:
        """A new BoundPort."""
        doorway = Doorway()
        given = adopting.take_given(self.given, description)
        adopts = given or description.startswith("systemd:")
        reactor = Adopting(self.reactor, given[0] if given else None) if adopts else self.reactor
        try:
            endpoint = serverFromString(reactor, description)
            _negotiate_nothing(endpoint)
            port = yield maybeDeferred(endpoint.listen, doorway)
        finally:
            for sock in given:
                sock.close()  # the port has a duplicate
        port.stopReading()
        listening = getattr(port, "socket", None)
        if listening is not None and (given or "backlog=" not in description):
            listening.listen(_backlog(description))
        return BoundPort(port, doorway)

    def close(self, description: str) -> Deferred[Any]:
        """Unbind; fires when it is done."""
        bound = self.bound.pop(description)
        bound.release()
        heir = self.bound.get(self._heirs.pop(description, ""))
        if heir is not None:
            adopting.leave(bound.port)
            if isinstance(heir.port, adopting.UnixPort):
                heir.port.own()
        return maybeDeferred(bound.port.stopListening)

    def sockets(self) -> dict[str, list[int]]:
        """The descriptors of all sockets by endpoint string, to be handed over to another process."""
        return adopting.descriptors({description: bound.port for description, bound in self.bound.items()})

    def leave(self) -> None:
        """Another process has the sockets: to close a port here must not disturb it there."""
        for bound in self.bound.values():
            adopting.leave(bound.port)

    def own(self) -> None:
        """The process that bound the given sockets leaves them to this one."""
        for bound in self.bound.values():
            if isinstance(bound.port, adopting.UnixPort):
                bound.port.own()


@implementer(IAcceptor)
class Plain:
    """Accepts on a port of Twisted's as Twisted does: for what is no balancer's listener."""

    def __init__(self, port: Any, factory: Any) -> None:
        self._port = port
        self.resume()

    def pause(self) -> None:
        self._port.stopReading()

    def resume(self) -> None:
        self._port.startReading()

    def accept_waiting(self) -> None:
        """Who waits to be echoed may be reset."""

    def release(self) -> Any:
        self._port.stopReading()
        return self._port


def listened_on(config: Config) -> list[str]:
    """The endpoint strings of all listeners and echo servers."""
    return [d for spec in config.listeners.values() for d in spec.listen] + list(config.echo)


def _negotiate_nothing(endpoint: Any) -> None:
    """For TLS: where a client names protocols (ALPN), as browsers and curl do, and the server has none, Twisted 26.10
    fails the handshake. To pass bytes on is to speak none of them, so the offer is left unanswered."""
    options = getattr(endpoint, "_sslContextFactory", None)
    if isinstance(options, CertificateOptions):
        options.getContext().set_alpn_select_callback(lambda connection, offered: NO_OVERLAPPING_PROTOCOLS)


def _backlog(description: str) -> int:
    return int(parse_endpoint(description, SERVER).values.get("backlog", BACKLOG))


def _reason(error: Exception) -> str:
    if isinstance(error, IndexError):  # what a systemd: endpoint makes of a socket that it does not find
        return "systemd has handed over no such socket"
    inner = getattr(error, "socketError", error)
    return str(getattr(inner, "strerror", None) or inner)
