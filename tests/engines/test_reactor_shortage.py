"""The reactor engine in want of descriptors, ports and memory."""

from __future__ import annotations

import errno
import socket
from typing import Any

from attrs import define, field
from twisted.internet.error import ConnectBindError, ConnectError, getConnectError
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txlb.engines.reactor import Acceptor, dial_error
from txlb.engines.sockets import REST
from txlb.interfaces import Outcome
from txlb.specs import TimeoutsSpec


@define
class ListeningSocket:
    """Accepts what is in `waiting`, or raises it."""

    waiting: list[Any]
    family: int = socket.AF_UNIX

    def accept(self) -> Any:
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "nobody")
        who = self.waiting.pop(0)
        if isinstance(who, OSError):
            raise who
        return who


@define(slots=False)
class Port:
    """A port as Twisted has it: `doRead` accepts with `socket`."""

    socket: ListeningSocket
    transport: type = object
    reading: bool = False
    numberAccepts: int = 0
    accepted: list[Any] = field(factory=list)

    def doRead(self) -> None:
        for _ in range(self.numberAccepts):
            try:
                self.accepted.append(self.socket.accept())
            except BlockingIOError:
                return

    def startReading(self) -> None:
        self.reading = True

    def stopReading(self) -> None:
        self.reading = False

    def getHost(self) -> str:
        return "here"


class AcceptorTests(SynchronousTestCase):
    """Accepting rests, and goes on."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        observer = lambda event: self.lines.append(formatEvent(event))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.clock = Clock()
        self.port = Port(ListeningSocket([]))
        self.room = 10
        self.acceptor = Acceptor(self.port, lambda: self.room, TimeoutsSpec(), self.clock)

    def test_rest(self) -> None:
        """EMFILE: nobody is dropped, reading stops for a while, and it is said once a second."""
        listening = self.port.socket
        for _ in range(4):
            listening.waiting[:] = ["one", OSError(errno.EMFILE, "Too many open files")]
            self.port.doRead()
            self.assertFalse(self.port.reading)
            self.clock.advance(REST)
            self.assertTrue(self.port.reading)
        self.assertEqual(["one"] * 4, self.port.accepted)
        self.assertIs(listening, self.port.socket)
        self.assertEqual(2, len(self.lines))
        self.assertIn("Cannot accept on here: Too many open files", self.lines[0])

    def test_other_errors_are_twisteds(self) -> None:
        """Whatever else goes wrong is left to Twisted's port."""
        self.port.socket.waiting.append(ConnectionAbortedError(errno.ECONNABORTED, "gone"))
        self.assertRaises(ConnectionAbortedError, self.port.doRead)
        self.assertTrue(self.port.reading)

    def test_resumed_while_it_rests(self) -> None:
        """Resuming ends the rest; no timer is left, nor after a release."""
        self.port.socket.waiting.append(OSError(errno.ENFILE, "full"))
        self.port.doRead()
        self.acceptor.resume()
        self.assertEqual(([], True), (self.clock.getDelayedCalls(), self.port.reading))
        self.port.socket.waiting.append(OSError(errno.ENFILE, "full"))
        self.port.doRead()
        self.acceptor.release()
        self.assertEqual(([], False), (self.clock.getDelayedCalls(), self.port.reading))

    def test_accept_waiting(self) -> None:
        """All who wait are accepted as far as there is room; once released, nobody."""
        self.port.socket.waiting.extend(range(15))
        self.acceptor.accept_waiting()
        self.assertEqual(list(range(10)), self.port.accepted)
        self.acceptor.release()
        self.acceptor.accept_waiting()
        self.assertEqual(10, len(self.port.accepted))


class DialErrorTests(SynchronousTestCase):
    """What a failed dial says of the backend."""

    def test_local_trouble(self) -> None:
        """No descriptor, no port, no memory: nothing."""
        for number in (errno.EMFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.EAGAIN):
            with self.subTest(number=number):
                self.assertEqual(Outcome.LOCAL_ERROR, dial_error(getConnectError((number, "trouble"))).outcome)
                self.assertEqual(Outcome.LOCAL_ERROR, dial_error(OSError(number, "trouble")).outcome)
        self.assertEqual(Outcome.LOCAL_ERROR, dial_error(ConnectBindError(errno.EACCES, "trouble")).outcome)

    def test_the_backends(self) -> None:
        """Refused, unreachable and late are its own."""
        for number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ECONNRESET):
            self.assertEqual(Outcome.REFUSED, dial_error(getConnectError((number, "no"))).outcome)
        self.assertEqual(Outcome.CONNECT_TIMEOUT, dial_error(getConnectError((errno.ETIMEDOUT, "late"))).outcome)
        self.assertEqual(Outcome.REFUSED, dial_error(ConnectError(None, "odd")).outcome)
