"""The epoll engine's transports without a link: as Protocols know transports."""

from __future__ import annotations

import contextlib
import socket

from twisted.internet.interfaces import IHalfCloseableProtocol, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.integration.test_epoll_traps import Port, Stage
from txlb.interfaces import IEngineTransport


@implementer(IHalfCloseableProtocol)
class Echo(Protocol):
    """Sends back what comes, reading no faster than its answers are taken."""

    made: list[Echo]
    ended = paused = 0
    reason = None

    def connectionMade(self) -> None:
        self.made.append(self)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def pauseProducing(self) -> None:
        self.paused += 1
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def readConnectionLost(self) -> None:
        self.ended += 1
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason) -> None:
        self.reason = reason


class TransportTests(Stage):
    """One engine, one listening socket, an echo."""

    def setUp(self) -> None:
        super().setUp()
        made: list[Echo] = []
        self.made = made
        factory = Factory.forProtocol(type("TestEcho", (Echo,), {"made": made}))
        factory.noisy = False
        self.front = self.listening()
        self.front.setblocking(False)
        self.engine.serve(Port(self.front), factory, lambda: 1000)

    def test_interfaces(self) -> None:
        """It is an ITCPTransport, knows both its ends and sets TCP's options."""
        client = self.client()
        self.until(lambda: self.made)
        transport = self.made[0].transport
        verifyObject(ITCPTransport, transport)
        verifyObject(IEngineTransport, transport)
        peer, host = transport.getPeer(), transport.getHost()
        self.assertEqual((peer.host, peer.port), client.getsockname())
        self.assertEqual((host.host, host.port), client.getpeername())
        self.assertTrue(transport.getTcpNoDelay())
        self.assertTrue(transport.getTcpKeepAlive())
        transport.setTcpNoDelay(False)
        transport.setTcpKeepAlive(False)
        self.assertFalse(transport.getTcpNoDelay() or transport.getTcpKeepAlive())

    def test_backpressure_and_end(self) -> None:
        """A client that does not read pauses the producer; all comes back in order, then the end."""
        client = self.client()
        pattern = bytes(range(256)) * 4096
        client.setblocking(False)
        sent = 0
        self.until(lambda: self.made)
        while not self.made[0].paused:
            with contextlib.suppress(BlockingIOError):
                sent += client.send(pattern[sent % len(pattern) :])
            self.turn()
        client.shutdown(socket.SHUT_WR)
        data = self.received(client, sent + 1)
        self.assertEqual(len(data), sent)
        whole = pattern * (sent // len(pattern) + 1)
        self.assertTrue(data == whole[:sent])
        self.until(lambda: self.made[0].reason)
        self.assertEqual((self.made[0].ended, self.made[0].reason.type.__name__), (1, "ConnectionDone"))

    def test_lose_connection_flushes(self) -> None:
        """Closing sends what was written first; `connectionLost` never comes from within the call."""
        client = self.client()
        self.until(lambda: self.made)
        echo = self.made[0]
        echo.transport.unregisterProducer()
        size = 8 << 20
        echo.transport.write(bytes(size))
        self.assertTrue(self.engine.unsent(echo.transport))
        echo.transport.loseConnection()
        self.assertIsNone(echo.reason)
        self.assertEqual(len(self.received(client, size + 1)), size)
        self.until(lambda: echo.reason)

    def test_abort(self) -> None:
        """An abort is a reset for the other end, and told as such."""
        client = self.client()
        self.until(lambda: self.made)
        echo = self.made[0]
        echo.transport.abortConnection()
        echo.transport.write(b"too late")
        self.assertIsNone(echo.reason)
        self.until(lambda: echo.reason)
        self.assertEqual(echo.reason.type.__name__, "ConnectionAborted")
        self.assertRaises(ConnectionResetError, client.recv, 1)

    def test_error_in_a_protocol(self) -> None:
        """An exception in one Protocol is logged and ends that connection only."""
        self.client()
        other = self.client()
        self.until(lambda: len(self.made) == 2)
        peers = {echo.transport.getPeer().port: echo for echo in self.made}
        kept = peers.pop(other.getsockname()[1])
        (broken,) = peers.values()
        broken.dataReceived = lambda data: 1 / 0
        self.clients[0].sendall(b"x")
        self.until(lambda: broken.reason)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        other.sendall(b"fine")
        self.assertEqual(self.received(other, 4), b"fine")
        self.assertIsNone(kept.reason)

    def client(self) -> socket.socket:
        sock = super().client()
        self.clients = [*getattr(self, "clients", []), sock]
        return sock
