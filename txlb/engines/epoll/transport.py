"""A stream as a transport: what Protocols call, and what becomes of their connection.

Linked, a Protocol hears of endings only. Not linked, this is an ITCPTransport like Twisted's own, but for two things: what
is written goes out at once, and a producer is paused as soon as the kernel does not take everything, for the kernel's
buffer is buffer enough.
"""

from __future__ import annotations

import _socket
import socket
import struct
from collections.abc import Iterable
from os import write
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ITCPTransport
from zope.interface import implementer

from txlb.engines.epoll.loop import Loop
from txlb.engines.epoll.stream import ABORTED, DONE, Stream
from txlb.interfaces import IEngineTransport

_IPV4, _IPV6 = int(socket.AF_INET), int(socket.AF_INET6)
_SHUT_WR = int(socket.SHUT_WR)
_KIND = int(socket.SOCK_STREAM) | getattr(socket, "SOCK_NONBLOCK", 0)
_LINGER_ZERO = struct.pack("ii", 1, 0)

_FAMILIES = {IPv4Address: socket.AF_INET, IPv6Address: socket.AF_INET6, UNIXAddress: socket.AF_UNIX}


def address_of(family: int, name: Any) -> Any:
    """Twisted's address for what `accept`, `getsockname` and the like say."""
    if family == _IPV4:
        return IPv4Address("TCP", *name)
    if family == _IPV6:
        return IPv6Address("TCP", *name)
    return UNIXAddress(name or None)


@implementer(IEngineTransport, ITCPTransport, IPushProducer)
class Transport(Stream):
    """One connection, accepted or dialled. `sock` is made of the descriptor only when a call needs one."""

    __slots__ = ("_address", "_producer", "_producer_paused", "_streaming")

    def __init__(self, loop: Loop, fd: int, address: Any, sock: Any = None) -> None:
        Stream.__init__(self, loop, fd, sock, address.__class__ is UNIXAddress)
        self._address = address
        self._producer: Any = None
        self._producer_paused = self._streaming = False

    # Writing

    def write(self, data: bytes) -> None:
        """Send, keeping what the kernel does not take. Dropped once the connection, or its direction, is over."""
        if self.closed or self.mute or self.half_closing or not data:
            return
        if self.outbox:
            self.outbox.append(bytes(data))
            return
        try:
            sent = write(self.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._write_failed(error)
            return
        if sent < len(data):
            self.outbox = [memoryview(bytes(data))[sent:]]
            if self._streaming and not self._producer_paused:
                self._producer_paused = True
                self._producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send these in a row."""
        self.write(b"".join(data))

    def unsent(self) -> int:
        """Bytes in `outbox`."""
        return sum(map(len, self.outbox))

    def _flushed(self) -> None:
        if self._streaming and self._producer_paused and not self.closing:
            self._producer_paused = False
            self._producer.resumeProducing()
            if self.outbox:
                return
        Stream._flushed(self)

    # Producers

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause and resume this push producer, or ask this pull producer, as the kernel takes what is written."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if self.closed:
            producer.stopProducing()
            return
        self._producer, self._streaming = producer, streaming
        if not streaming:
            self.loop.clock.callLater(0, self._pull)
        elif self.outbox:
            self._producer_paused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None
        self._streaming = self._producer_paused = False

    def _pull(self) -> None:
        if self._producer is None or self._streaming or self.closed or self.closing:
            return
        if not self.outbox:
            self._producer.resumeProducing()
        self.loop.clock.callLater(0.01 if self.outbox else 0, self._pull)

    # Reading

    def pauseProducing(self) -> None:
        """Read nothing; a reset is told nevertheless."""
        self.reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        if not (self.closed or self.closing or self.ended):
            self.reading = True
            if self.readable:
                self.loop.again(self)

    def stopProducing(self) -> None:
        """As the producer of somebody who is gone."""
        self.loseConnection()

    def _tell_end(self) -> None:
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.lose(DONE)

    # Ending

    def loseConnection(self) -> None:
        """Close once what was written is flushed; `connectionLost` follows, never from within this call."""
        self.closing = True
        self.reading = False
        if not self.outbox:
            self.lose(DONE)

    def loseWriteConnection(self) -> None:
        """Half-close once what was written is flushed."""
        if not self.half_closing:
            self.half_closing = True
            if not self.outbox:
                self._shut()

    def _shut(self) -> None:
        if self.closed or self.mute:
            return
        try:
            self.getHandle().shutdown(_SHUT_WR)
        except OSError:
            return  # a reset; the set tells of it
        if self.peer is not None or IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()

    def abortConnection(self) -> None:
        """Close at once with a reset, where there is such a thing; `connectionLost` follows."""
        if not self.closed:
            if not self.unix:
                self.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self.lose(ABORTED)

    crashed = stop = abortConnection

    # What is known of it

    @property
    def connected(self) -> bool:
        """Whether it is still there."""
        return not self.closed

    @property
    def disconnected(self) -> bool:
        """Whether it is over."""
        return self.closed

    @property
    def disconnecting(self) -> bool:
        """Whether it closes once it is flushed."""
        return self.closing

    def getPeer(self) -> Any:
        """The address of the other end."""
        return self._address

    def getHost(self) -> Any:
        """The address of this end."""
        handle = self.getHandle()
        return address_of(handle.family, handle.getsockname())

    def getHandle(self) -> Any:
        """The socket."""
        if self.sock is None:
            self.sock = _socket.socket(_FAMILIES[self._address.__class__], _KIND, 0, self.fd)
        return self.sock

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self.fd

    def getTcpNoDelay(self) -> bool:
        """Whether Nagle's algorithm is off."""
        return bool(self.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Switch Nagle's algorithm off, or on."""
        self.getHandle().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, bool(enabled))

    def getTcpKeepAlive(self) -> bool:
        """Whether an idle connection is probed."""
        return bool(self.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Probe an idle connection, or do not."""
        self.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(enabled))
