"""The echo server, without sockets and on a clock of the test's own."""

from __future__ import annotations

import random
import sys
from io import StringIO

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from txlb.echo import BACKLOG, HELD, Echo, EchoFactory, EchoService, Options


class Wire(StringTransport):
    """A transport that remembers whether a producer is registered when it is told to close, as a real one minds it."""

    closed_with_producer: bool | None = None

    def loseConnection(self) -> None:
        self.closed_with_producer = self.producer is not None
        super().loseConnection()


def connected(factory: EchoFactory) -> tuple[Echo, Wire]:
    """An echo connection and its transport."""
    echo = factory.buildProtocol(None)
    wire = Wire()
    echo.makeConnection(wire)
    return echo, wire


class EchoTests(TestCase):
    """Without a delay."""

    def test_provides_its_interfaces(self) -> None:
        """Half-close and backpressure only work when the transport can see that the Protocol provides them."""
        verifyObject(IHalfCloseableProtocol, Echo(EchoFactory(Clock())))
        verifyObject(IPushProducer, Echo(EchoFactory(Clock())))

    def test_returns_every_byte_at_once(self) -> None:
        """Bytes of any value come back exact and in order, in the turn they came in."""
        data = bytes(range(256)) * 5
        echo, wire = connected(EchoFactory(Clock()))
        for start in range(0, len(data), 100):
            echo.dataReceived(data[start : start + 100])
            self.assertEqual(wire.value(), data[: start + 100])

    def test_says_nothing_without_a_name(self) -> None:
        """An unnamed server is byte-exact from the first byte."""
        _, wire = connected(EchoFactory(Clock()))
        self.assertEqual(wire.value(), b"")

    def test_says_its_name_first(self) -> None:
        """A named server speaks first: its name in one line, in UTF-8, then the echo."""
        echo, wire = connected(EchoFactory(Clock(), name="grün"))
        self.assertEqual(wire.value(), "grün\n".encode())
        echo.dataReceived(b"hello")
        self.assertEqual(wire.value(), "grün\n".encode() + b"hello")

    def test_stops_reading_from_a_client_that_does_not_read(self) -> None:
        """When the transport's buffer is full, the producer it pauses is its own reading side; and back again."""
        echo, wire = connected(EchoFactory(Clock()))
        self.assertIs(wire.producer, echo)
        self.assertTrue(wire.streaming)
        wire.producer.pauseProducing()
        self.assertEqual(wire.producerState, "paused")
        wire.producer.resumeProducing()
        self.assertEqual(wire.producerState, "producing")

    def test_closes_at_the_clients_end_of_stream(self) -> None:
        """At EOF it closes, with its producer unregistered: a registered one would keep the connection open for ever."""
        echo, wire = connected(EchoFactory(Clock()))
        echo.dataReceived(b"last words")
        echo.readConnectionLost()
        self.assertEqual(wire.value(), b"last words")
        self.assertTrue(wire.disconnecting)
        self.assertIs(wire.closed_with_producer, False)


class DelayTests(TestCase):
    """With a delay, and a jitter."""

    def setUp(self) -> None:
        self.clock = Clock()

    def test_holds_each_chunk_back(self) -> None:
        """Every chunk comes back its own `delay` after it came in, not before."""
        echo, wire = connected(EchoFactory(self.clock, delay=0.05))
        echo.dataReceived(b"a")
        self.clock.advance(0.03)
        echo.dataReceived(b"b")
        self.clock.advance(0.0199)
        self.assertEqual(wire.value(), b"")
        self.clock.advance(0.0002)
        self.assertEqual(wire.value(), b"a")
        self.clock.advance(0.03)
        self.assertEqual(wire.value(), b"ab")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_jitter_keeps_order_and_its_bounds(self) -> None:
        """A random addition never lets a chunk overtake; all are out after delay + jitter, and not all at delay."""
        echo, wire = connected(EchoFactory(self.clock, delay=0.01, jitter=0.02, rng=random.Random(5)))
        data = bytes(range(200))
        for byte in data:
            echo.dataReceived(bytes([byte]))
        self.clock.advance(0.0099)
        self.assertEqual(wire.value(), b"")
        self.clock.pump([0.001] * 10)
        self.assertTrue(data.startswith(wire.value()))
        self.assertLess(len(wire.value()), len(data))
        self.clock.pump([0.001] * 12)
        self.assertEqual(wire.value(), data)

    def test_jitter_comes_from_the_given_source(self) -> None:
        """The same seed gives the same times, so that a scenario can be run again."""

        def seconds_until_answered(seed: int) -> float:
            clock = Clock()
            echo, wire = connected(EchoFactory(clock, jitter=0.1, rng=random.Random(seed)))
            echo.dataReceived(b"x")
            while not wire.value():
                clock.advance(0.0001)
            return clock.seconds()

        self.assertEqual(seconds_until_answered(1), seconds_until_answered(1))
        self.assertNotEqual(seconds_until_answered(1), seconds_until_answered(2))

    def test_what_waits_is_bounded(self) -> None:
        """With `HELD` bytes waiting it reads no more, and reads on once some are out."""
        echo, wire = connected(EchoFactory(self.clock, delay=1.0))
        echo.dataReceived(b"x" * (HELD - 1))
        self.assertEqual(wire.producerState, "producing")
        echo.dataReceived(b"y")
        self.assertEqual(wire.producerState, "paused")
        self.clock.advance(1.0)
        self.assertEqual(wire.producerState, "producing")
        self.assertEqual(len(wire.value()), HELD)

    def test_reads_on_only_when_both_allow_it(self) -> None:
        """A client that does not read stays unread, even when the bytes that waited are out; and the other way round."""
        echo, wire = connected(EchoFactory(self.clock, delay=1.0))
        echo.dataReceived(b"x" * HELD)
        echo.pauseProducing()
        self.clock.advance(1.0)
        self.assertEqual(wire.producerState, "paused")
        echo.dataReceived(b"x" * HELD)
        echo.resumeProducing()
        self.assertEqual(wire.producerState, "paused")
        self.clock.advance(1.0)
        self.assertEqual(wire.producerState, "producing")

    def test_answers_all_before_it_closes(self) -> None:
        """An end of stream waits for the chunks before it."""
        echo, wire = connected(EchoFactory(self.clock, delay=1.0))
        echo.dataReceived(b"x")
        echo.readConnectionLost()
        self.assertFalse(wire.disconnecting)
        self.clock.advance(1.0)
        self.assertEqual(wire.value(), b"x")
        self.assertTrue(wire.disconnecting)
        self.assertIs(wire.closed_with_producer, False)

    def test_a_lost_connection_leaves_nothing_behind(self) -> None:
        """No delayed call outlives its connection."""
        echo, _ = connected(EchoFactory(self.clock, delay=1.0))
        echo.dataReceived(b"x")
        echo.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ServiceTests(TestCase):
    """What `twist` runs."""

    def test_listens_and_stops(self) -> None:
        """It listens where it was told to, with a backlog for bursts, from start to stop."""
        reactor = MemoryReactorClock()
        service = EchoService(reactor, EchoFactory(reactor), 9001, "127.0.0.1")
        service.startService()
        [(port, factory, backlog, interface)] = reactor.tcpServers
        self.assertEqual((port, factory, backlog, interface), (9001, service.factory, BACKLOG, "127.0.0.1"))
        self.successResultOf(maybeDeferred(service.stopService))
        self.assertFalse(service.running)

    def test_a_port_in_use_is_one_line_and_69(self) -> None:
        """Nothing else tells an operator as fast."""

        class Taken(MemoryReactorClock):
            def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:
                raise CannotListenError(interface, port, OSError(98, "Address already in use"))

        stderr = StringIO()
        self.patch(sys, "stderr", stderr)
        service = EchoService(Taken(), EchoFactory(Clock()), 9001, "127.0.0.1")
        stopped = self.assertRaises(SystemExit, service.startService)
        self.assertEqual(stopped.code, 69)
        self.assertEqual(
            stderr.getvalue(), "txecho: cannot listen on 127.0.0.1:9001: [Errno 98] Address already in use\n"
        )


class OptionsTests(TestCase):
    """The command line of `twist txecho`."""

    def parsed(self, *arguments: str) -> Options:
        """What these arguments mean."""
        options = Options()
        options.parseOptions(list(arguments))
        return options

    def test_defaults(self) -> None:
        """Without arguments: loopback, port 9001, no name, no latency of its own."""
        self.assertEqual(
            dict(self.parsed()), {"port": 9001, "interface": "127.0.0.1", "name": "", "delay": 0.0, "jitter": 0.0}
        )

    def test_all(self) -> None:
        """Durations are written as in the configuration and become seconds."""
        options = self.parsed(
            "--port", "0", "--interface", "::1", "--name", "blue", "--delay", "50ms", "--jitter", "1.5s"
        )
        self.assertEqual(dict(options), {"port": 0, "interface": "::1", "name": "blue", "delay": 0.05, "jitter": 1.5})

    def test_wrong_ones_are_one_clear_line(self) -> None:
        """Each names the option and what it must be, and exits with 64, without the usage of all of `twist`."""
        wrong = {
            ("--port", "70000"): "--port must be a number from 0 to 65535, not '70000'",
            ("--port", "x"): "--port must be a number from 0 to 65535, not 'x'",
            ("--delay", "50"): "--delay must be a duration such as 250ms, 2s, 5m or 1h, not '50'",
            ("--jitter", "-1s"): "--jitter must be a duration such as 250ms, 2s, 5m or 1h, not '-1s'",
            ("--name", "a\nb"): "--name must be one line of printable text, not 'a\\nb'",
            ("--naem", "a"): "option --naem not recognized",
            ("--port",): "option --port requires argument",
        }
        for arguments, message in wrong.items():
            with self.subTest(arguments=arguments):
                stderr = StringIO()
                self.patch(sys, "stderr", stderr)
                stopped = self.assertRaises(SystemExit, self.parsed, *arguments)
                self.assertEqual(stopped.code, 64)
                self.assertEqual(stderr.getvalue(), f"txecho: {message} (see twist txecho --help)\n")
