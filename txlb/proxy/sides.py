"""The Protocols and Factories of the two sides. They hold no policy: each event goes to the pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb.errors import DialError
from txlb.interfaces import IClient, IDialFactory, Outcome

if TYPE_CHECKING:
    from txlb.proxy.listener import Listener
    from txlb.proxy.pair import ProxyPair


@implementer(IClient)
class Client:
    """Who is at the other end of an accepted connection."""

    __slots__ = ("address", "listener")

    def __init__(self, address: Any, listener: str) -> None:
        self.address = address
        self.listener = listener

    @property
    def host(self) -> str:
        """The client's IP address; empty on a UNIX socket."""
        return getattr(self.address, "host", "")

    @property
    def port(self) -> int:
        """The client's port; 0 on a UNIX socket."""
        return getattr(self.address, "port", 0)


@implementer(IHalfCloseableProtocol, IPushProducer)
class Side(Protocol):
    """One end of a pair. `received` counts the bytes that came as Python objects, which linked ones do not.

    It is the producer of the other side's transport, in place of its own transport: that one would answer the other's
    loss (`stopProducing`) by closing at its leisure, where it is the pair that decides between a close and a reset.
    """

    transport: Any
    pair: ProxyPair
    received = 0

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The other side is lost; the pair hears of that too."""

    def readConnectionLost(self) -> None:
        self.pair.read_ended(self)

    def writeConnectionLost(self) -> None:
        """Our own half-close was carried out; nothing follows from it."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.pair.lost(self, reason)


@implementer(IHandshakeListener)
class ClientSide(Side):
    """The connection that a client opened. With TLS it is `ready` after the handshake."""

    ready = True

    def __init__(self, listener: Listener, address: Any) -> None:
        self.pair = listener.make_pair(self, Client(address, listener.name))

    def connectionMade(self) -> None:
        pair = self.pair
        if not pair.linked and ISSLTransport.providedBy(self.transport):
            self.ready = False
        pair.start()

    def handshakeCompleted(self) -> None:
        self.ready = True
        self.pair.client_ready()

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        self.pair.client_data(data)


@implementer(IHandshakeListener)
class BackendSide(Side):
    """The connection that was opened to a backend. With TLS it counts as connected after the handshake."""

    ready = False
    abandoned = False

    def __init__(self, pair: ProxyPair) -> None:
        self.pair = pair

    def connectionMade(self) -> None:
        pair = self.pair
        if not pair.linked and ISSLTransport.providedBy(self.transport):
            pair.handshaking(self)
        else:
            self.ready = True
            pair.connected(self)

    def handshakeCompleted(self) -> None:
        if not self.abandoned:
            self.ready = True
            self.pair.connected(self)

    def abandon(self) -> None:
        """Give up during the handshake; the pair hears nothing more."""
        self.abandoned = True
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if not self.received:
            self.pair.first_byte()
        self.received += len(data)
        self.pair.backend_data(data)

    def firstByte(self) -> None:
        """A linking engine has read the first bytes from the backend."""
        self.pair.first_byte()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        if self.ready:
            self.pair.lost(self, reason)
        elif not self.abandoned:
            self.pair.dial_failed(DialError(Outcome.REFUSED, f"TLS handshake failed: {reason.getErrorMessage()}"))


class ClientSideFactory(Factory):
    """Builds the client-facing Protocols of one listener. A reload may hand its port to another one."""

    noisy = False
    protocol = ClientSide

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def buildProtocol(self, addr: IAddress | None) -> ClientSide:
        return self.protocol(self.listener, addr)


@implementer(IDialFactory)
class BackendSideFactory:
    """Builds the backend-facing Protocol of one attempt."""

    __slots__ = ("_pair",)

    def __init__(self, pair: ProxyPair) -> None:
        self._pair = pair

    def buildProtocol(self, address: Any) -> BackendSide:
        return BackendSide(self._pair)

    def dialFailed(self, error: DialError) -> None:
        """The attempt came to nothing."""
        self._pair.dial_failed(error)
