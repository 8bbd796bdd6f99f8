"""The traps of nested, edge-triggered sets that were met in the field, one test for each, on real sockets.

The engine runs without a reactor: `Stage.until` does what the reactor would, so a test is one thread that plays client,
backend and proxy in the order it chooses. `Front` and `Back` are the least that is a pair.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txlb.engines.epoll import EpollEngine
from txlb.engines.epoll import loop as loop_module
from txlb.engines.epoll.loop import EVENTS
from txlb.engines.epoll.stream import SIZE, TURNS
from txlb.interfaces import Outcome
from txlb.specs import TimeoutsSpec

RESET = struct.pack("ii", 1, 0)


class NoReactor:
    """`addReader` and `removeReader`; the test reads."""

    def addReader(self, reader: object) -> None:
        """The test asks for it itself."""

    removeReader = addReader


class Port:
    """As much of an IListeningPort as an engine needs."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def getHost(self) -> object:
        return self.socket.getsockname()


@implementer(IHalfCloseableProtocol)
class Side(Protocol):
    """One side of the least pair there is; `log` holds what both were told."""

    name = ""
    other: Side | None = None
    ended = False

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def readConnectionLost(self) -> None:
        self.stage.log.append(f"{self.name} ended")
        self.ended = True
        if self.other is None:
            return
        if self.other.ended:
            self.transport.loseConnection()
            self.other.transport.loseConnection()
        else:
            self.other.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        pass

    def firstByte(self) -> None:
        self.stage.log.append("first byte")

    def connectionLost(self, reason) -> None:
        clean = reason.type.__name__ == "ConnectionDone"
        self.stage.log.append(f"{self.name} {'closed' if clean else 'lost'}")
        if self.other is not None and not clean:
            self.stage.engine.reset(self.other.transport, 5)
        elif self.other is None and self.stage.dial is not None:
            self.stage.dial.cancel()


class Front(Side):
    """The client's side: dials at once, unless the stage holds it back."""

    name = "client"

    def connectionMade(self) -> None:
        self.stage.fronts.append(self)
        self.transport.pauseProducing()
        if not self.stage.hold:
            self.reach()

    def reach(self) -> None:
        self.stage.dial = self.stage.engine.dial(self.stage.connect, Dialling(self))


class Back(Side):
    """The backend's side."""

    name = "backend"

    def connectionMade(self) -> None:
        front = self.other
        front.other = self
        if front.ended:
            self.transport.loseWriteConnection()
        self.stage.engine.link(front.transport, self.transport)


class Dialling:
    """The result of a dial."""

    def __init__(self, front: Front) -> None:
        self.front = front

    def buildProtocol(self, address: object) -> Back:
        back = Back(self.front.stage)
        back.other = self.front
        return back

    def dialFailed(self, error) -> None:
        self.front.stage.errors.append(error)
        self.front.transport.abortConnection()


class Stage(SynchronousTestCase):
    """An engine between a client and a backend, all three played by the test."""

    timeout = 30

    def setUp(self) -> None:
        self.clock = Clock()
        self.engine = EpollEngine(NoReactor(), self.clock)
        self.addCleanup(self.engine.stop)
        self.log: list[str] = []
        self.errors: list = []
        self.fronts: list[Front] = []
        self.hold = False
        self.dial = None
        self.backend = self.listening()
        self.connect = f"tcp:127.0.0.1:{self.backend.getsockname()[1]}"
        self.engine.prepare([self.connect], TimeoutsSpec())
        self.front = self.listening()
        self.serve(self.front)

    def listening(self, backlog: int = 128) -> socket.socket:
        sock = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.addCleanup(sock.close)
        sock.settimeout(10)
        return sock

    def serve(self, sock: socket.socket):
        sock.setblocking(False)
        factory = Factory.forProtocol(lambda: Front(self))
        factory.noisy = False
        return self.engine.serve(Port(sock), factory, lambda: 1000)

    def unix(self, backlog: int = 16) -> tuple[socket.socket, str]:
        path = str(Path(mkdtemp()) / "s")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen(backlog)
        sock.settimeout(10)
        self.addCleanup(sock.close)
        return sock, path

    def client(self) -> socket.socket:
        sock = socket.create_connection(self.front.getsockname(), timeout=10)
        self.addCleanup(sock.close)
        return sock

    def accepted(self) -> socket.socket:
        sock, _ = self.backend.accept()
        sock.settimeout(10)
        self.addCleanup(sock.close)
        return sock

    def turn(self) -> None:
        """What a reactor does in one turn."""
        if select.select([self.engine.loop], [], [], 0.005)[0]:
            self.engine.loop.doRead()
        self.clock.advance(0.005)

    def until(self, condition) -> None:
        """Turn until it holds."""
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end, self.log)
            self.turn()

    def linked(self) -> tuple[socket.socket, socket.socket]:
        """A client and a backend with the engine between."""
        client = self.client()
        self.until(lambda: self.fronts and self.fronts[-1].other is not None)
        return client, self.accepted()

    def received(self, sock: socket.socket, size: int) -> bytes:
        """Read `size` bytes, or to the end, while the engine runs."""
        sock.setblocking(False)
        data = bytearray()

        def enough() -> bool:
            with contextlib.suppress(BlockingIOError):
                while len(data) < size:
                    part = sock.recv(min(1 << 20, size - len(data)))
                    if not part:
                        return True
                    data.extend(part)
            return len(data) >= size

        self.until(enough)
        return bytes(data)

    def fill(self, sock: socket.socket) -> int:
        """Send until nothing moves any more; returns how much that was."""
        sock.setblocking(False)
        sent = quiet = 0
        while quiet < 10:
            try:
                sent += sock.send(bytes(65536))
                quiet = 0
            except BlockingIOError:
                quiet += 1
                self.turn()
        return sent

    def reset(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()


class TrapTests(Stage):
    """Numbered as in the list of traps."""

    def test_01_end_seen_before_linking(self) -> None:
        """Bytes and FIN that came before there was a backend, in events long gone, are both passed on."""
        self.hold = True
        client = self.client()
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        self.until(lambda: self.fronts and self.fronts[0].transport.to_end)
        self.fronts[0].reach()
        self.until(lambda: "client ended" in self.log)
        self.assertEqual(self.received(self.accepted(), 100), b"hello")

    def test_01_end_behind_a_full_peer(self) -> None:
        """FIN that came while the peer was full is told after the flush."""
        client, backend = self.linked()
        sent = 0
        while not self.fronts[0].other.transport.outbox:
            sent += client.send(bytes(4096))
            self.turn()
        client.shutdown(socket.SHUT_WR)
        self.until(lambda: self.fronts[0].transport.to_end)
        self.assertNotIn("client ended", self.log)
        self.assertEqual(len(self.received(backend, sent + 1)), sent)
        self.assertIn("client ended", self.log)

    def test_02_urgent_data(self) -> None:
        """A read that ends short at the urgent mark is not the end of what is there."""
        self.hold = True
        client = self.client()
        self.until(lambda: self.fronts)
        client.sendall(b"before")
        client.send(b"!", socket.MSG_OOB)
        client.sendall(b"after")
        self.until(lambda: self.fronts[0].transport.to_end)
        self.fronts[0].reach()
        self.until(lambda: self.fronts[0].transport.received >= 11)
        self.assertEqual(self.received(self.accepted(), 11), b"beforeafter")

    def test_02_unix_reads_are_short(self) -> None:
        """On a UNIX socket each read may be short; all that is there is moved."""
        self.backend, path = self.unix()
        self.connect = f"unix:{path}"
        self.engine.prepare([self.connect], TimeoutsSpec())
        client, backend = self.linked()
        for _ in range(50):
            backend.sendall(b"x" * 100)
        self.assertEqual(len(self.received(client, 5000)), 5000)

    def test_03_reset_hidden_by_a_write(self) -> None:
        """A backend's answer and reset both count, though our write to it consumes the error first."""
        client, backend = self.linked()
        backend.sendall(b"answer")
        client.sendall(b"more")
        self.reset(backend)
        front = self.fronts[0]
        front.transport.ready(1)  # the client's event comes first: the write fails
        self.until(lambda: "backend lost" in self.log)
        self.assertNotIn("backend ended", self.log)
        self.assertEqual(front.other.transport.received, 6)
        with self.assertRaises(ConnectionResetError):
            self.received(client, 100)

    def test_04_reset_after_the_bytes(self) -> None:
        """All that came before a reset arrives, however slowly it is read; then the reset."""
        client, backend = self.linked()
        sent = 0
        backend.setblocking(False)
        for _ in range(100):
            with contextlib.suppress(BlockingIOError):
                sent += backend.send(bytes(65536))
            self.turn()
        read = self.fronts[0].other.transport.received
        self.assertGreater(sent, 1 << 20)
        self.reset(backend)
        self.until(lambda: "backend lost" in self.log)
        self.assertGreaterEqual(self.received_until_reset(client), read)

    def received_until_reset(self, sock: socket.socket) -> int:
        total = [0]
        sock.setblocking(False)

        def over() -> bool:
            try:
                while part := sock.recv(1 << 20):
                    total[0] += len(part)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
            self.fail("a clean end instead of a reset")
            return False

        self.until(over)
        return total[0]

    def test_05_rest_is_reported_again(self) -> None:
        """A stream that used up its turn goes on without a new edge, and the kernel held the rest meanwhile."""
        self.hold = True
        client = self.client()
        size = SIZE * TURNS + 100_000
        self.until(lambda: self.fronts)
        client.sendall(bytes(size))
        self.fronts[0].reach()
        self.until(lambda: self.fronts[0].transport.received >= size)
        self.assertEqual(len(self.received(self.accepted(), size)), size)

    def test_06_reactor_gets_its_turn(self) -> None:
        """However much there is to do, one `doRead` serves a bounded number of events after its time is up."""
        clients = [self.client() for _ in range(EVENTS + 20)]
        self.until(lambda: len(self.fronts) == len(clients) and all(front.other for front in self.fronts))
        for client in clients:
            client.sendall(b"x")
        before = [front.transport.received for front in self.fronts]
        self.patch(loop_module, "SLICE", -1.0)
        self.engine.loop.doRead()
        served = sum(front.transport.received for front in self.fronts) - sum(before)
        self.assertTrue(0 < served <= EVENTS, served)
        self.until(lambda: all(front.transport.received for front in self.fronts))

    def test_07_descriptor_is_not_reused_in_a_batch(self) -> None:
        """What closes within a batch keeps its number until the batch is over, and late events find nobody."""
        client, _ = self.linked()
        transport = self.fronts[0].transport
        fd, loop = transport.fd, self.engine.loop
        loop._running = True
        transport.abortConnection()
        self.assertEqual(transport.fd, fd)
        newcomer = os.dup(client.fileno())
        self.addCleanup(os.close, newcomer)
        self.assertNotEqual(newcomer, fd)
        loop.table[fd].ready(0x2018)
        self.assertNotIn("client lost", self.log)
        loop._running = False
        loop._turn()
        self.assertIn("client lost", self.log)
        self.assertEqual(transport.fd, -1)

    def test_08_early_bytes_stay_in_the_kernel(self) -> None:
        """Bytes sent before there is a backend are not read until there is one, and then all arrive."""
        self.hold = True
        client = self.client()
        client.sendall(b"early")
        self.until(lambda: self.fronts and self.fronts[0].transport.readable)
        self.assertEqual(self.fronts[0].transport.received, 0)
        self.fronts[0].reach()
        self.until(lambda: self.fronts[0].transport.received == 5)
        self.assertEqual(self.received(self.accepted(), 5), b"early")

    def test_08_reset_during_the_dial(self) -> None:
        """A client's reset is told while it is paused, and the dial is cancelled."""
        full = self.listening(backlog=0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
            self.addCleanup(filler.close)
        self.connect = f"tcp:127.0.0.1:{full.getsockname()[1]}"
        self.engine.prepare([self.connect], TimeoutsSpec())
        client = self.client()
        self.until(lambda: self.dial is not None)
        self.reset(client)
        self.until(lambda: "client lost" in self.log)
        self.assertIsNone(self.dial.factory)
        self.assertEqual(self.errors, [])

    def test_09_busy_unix_backend(self) -> None:
        """A UNIX backend whose backlog is full is busy: our trouble, not its."""
        _, path = self.unix(backlog=0)
        filler = socket.socket(socket.AF_UNIX)
        self.addCleanup(filler.close)
        filler.connect(path)
        self.connect = f"unix:{path}"
        self.engine.prepare([self.connect], TimeoutsSpec())
        self.client()
        self.until(lambda: self.errors)
        self.assertEqual([error.outcome for error in self.errors], [Outcome.LOCAL_ERROR])

    def test_10_counters_tell_what_moves(self) -> None:
        """`received` less `unsent` changes whenever bytes move, and only then, so that no clock is read for them."""
        client, backend = self.linked()

        def mark() -> int:
            sides = [self.fronts[0].transport, self.fronts[0].other.transport]
            return sum(side.received - self.engine.unsent(side) for side in sides)

        self.fill(client)
        stalled = mark()
        for _ in range(5):
            self.turn()
        self.assertEqual(mark(), stalled)
        self.received(backend, 1_000_000)
        self.until(lambda: mark() > stalled)

    def test_11_two_sets_share_a_port(self) -> None:
        """Level-triggered, two nested sets on one listening socket lose no client, whoever is woken."""
        other = EpollEngine(NoReactor(), self.clock)
        self.addCleanup(other.stop)
        other.prepare([self.connect], TimeoutsSpec())
        self.hold = True
        factory = Factory.forProtocol(lambda: Front(self))
        factory.noisy = False
        other.serve(Port(self.front), factory, lambda: 1000)
        for _ in range(40):
            self.client()

        def all_in() -> bool:
            other.loop.doRead()
            return len(self.fronts) == 40

        self.until(all_in)

    def test_12_a_stopped_server_accepts(self) -> None:
        """The kernel accepts for a server that never does, so a dial that succeeds is no sign of health."""
        self.client()
        self.until(lambda: self.fronts and self.fronts[0].other is not None)
        self.assertEqual(self.errors, [])


class AcceptTests(Stage):
    """Accepting without descriptors."""

    def test_shortage(self) -> None:
        """EMFILE rests the acceptor, logs once a second, costs no CPU, and is over within a second of its end."""
        acceptor = next(iter(self.engine._acceptors))
        calls = []

        class Short:
            def _accept(self):
                calls.append(1)
                raise OSError(errno.EMFILE, "Too many open files")

        client = self.client()
        with patch.object(acceptor, "_sock", Short()), patch("txlb.engines.epoll.acceptor.log.error") as error:
            for _ in range(250):
                self.turn()
        self.assertTrue(2 <= len(calls) <= 4, calls)
        self.assertEqual(error.call_count, 2)
        self.until(lambda: self.fronts)
        self.assertTrue(client)

    def test_pause_and_release(self) -> None:
        """A paused acceptor leaves clients in the backlog; a released one leaves the port open."""
        (acceptor,) = self.engine._acceptors
        acceptor.pause()
        self.client()
        for _ in range(5):
            self.turn()
        self.assertEqual(self.fronts, [])
        port = acceptor.release()
        self.serve(port.socket)
        self.until(lambda: self.fronts)
