"""An endpoint for one HTTP request whose reply cannot grow without bound: headers, body and all together."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from txlb.health_checks.talk import REPLY_LIMIT, close


@implementer(IStreamClientEndpoint, IAgentEndpointFactory)
class BoundedEndpoint:
    """Wraps `endpoint`; after `REPLY_LIMIT` bytes `overflowed` is true and the connection is aborted."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self._transport: Any = None
        self.overflowed = False

    def endpointForURI(self, uri: object) -> BoundedEndpoint:
        """Whatever the URI says, this is where to connect."""
        return self

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        connected: Deferred[_Counted] = self._endpoint.connect(_Factory(protocolFactory, self))
        return connected.addCallback(lambda counted: counted.inner)

    def close(self) -> None:
        """Let go of the connection; one that was cancelled or has overflowed is aborted already."""
        if self._transport is not None:
            close(self._transport)

    def abort(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abortConnection()


class _Counted(ProtocolWrapper):
    _room = REPLY_LIMIT

    def __init__(self, factory: Any, wrapped: Any, bounds: BoundedEndpoint) -> None:
        super().__init__(factory, wrapped)
        self.inner = wrapped
        self._bounds = bounds

    def makeConnection(self, transport: Any) -> None:
        self._bounds._transport = transport
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        if self._bounds.overflowed:
            return
        self._bounds.overflowed = len(data) > self._room
        wanted, self._room = data[: self._room], self._room - len(data)
        super().dataReceived(wanted)
        if self._bounds.overflowed:
            self._bounds.abort()


class _Factory(WrappingFactory):
    noisy = False

    def __init__(self, wrapped: Factory, bounds: BoundedEndpoint) -> None:
        super().__init__(wrapped)
        self._bounds = bounds

    def buildProtocol(self, addr: Any) -> _Counted:
        return _Counted(self, self.wrappedFactory.buildProtocol(addr), self._bounds)
