"""`txlb.engines.epoll.resolver`: names are known before they are needed."""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.engines.epoll.resolver import PERIOD, Resolver
from txlb.engines.epoll.targets import parse

ONE = (socket.AF_INET, ("192.0.2.1", 80))
TWO = (socket.AF_INET, ("192.0.2.2", 80))


class ResolverTests(SynchronousTestCase):
    """Answers are given by the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.questions: list = []
        self.resolver = Resolver(self.clock, lambda receiver, host, port: self.questions.append((receiver, host)))
        self.target = parse("tcp:backend.test:80")
        self.heard: list = []

    def answer(self, *hosts: str) -> None:
        receiver, _ = self.questions.pop()
        receiver.resolutionBegan(None)
        for host in hosts:
            receiver.addressResolved(IPv4Address("TCP", host, 80))
        receiver.resolutionComplete()

    def test_literals(self) -> None:
        """Addresses are not asked for and need no timer."""
        self.resolver.keep([parse("tcp:192.0.2.1:80")])
        self.assertEqual((self.questions, self.clock.getDelayedCalls()), ([], []))

    def test_wait(self) -> None:
        """Who comes before the first answer waits for it, unless forgotten; one question serves all."""
        self.resolver.keep([self.target])
        self.assertEqual(self.resolver.addresses(self.target), ())
        self.resolver.wait(self.target, "a", self.heard.append)
        self.resolver.wait(self.target, "b", self.heard.append)
        self.resolver.forget(self.target, "b")
        self.assertEqual(len(self.questions), 1)
        self.answer("192.0.2.1")
        self.assertEqual(self.heard, [(ONE,)])

    def test_unknown(self) -> None:
        """Who waits for a name that is unknown hears so; the next one asks again."""
        self.resolver.keep([self.target])
        self.resolver.wait(self.target, "a", self.heard.append)
        self.answer()
        self.assertEqual(self.heard, [()])
        self.resolver.wait(self.target, "a", self.heard.append)
        self.answer("192.0.2.2")
        self.assertEqual(self.heard, [(), (TWO,)])

    def test_refresh(self) -> None:
        """A name is asked for again periodically; an empty answer leaves the stale addresses, another replaces them."""
        self.resolver.keep([self.target])
        self.answer("192.0.2.1")
        self.clock.advance(PERIOD)
        self.answer()
        self.assertEqual(self.resolver.addresses(self.target), (ONE,))
        self.clock.advance(PERIOD)
        self.answer("192.0.2.2")
        self.assertEqual(self.resolver.addresses(self.target), (TWO,))

    def test_one_that_does_not_answer(self) -> None:
        """An address that timed out comes last, also after a refresh."""
        self.resolver.keep([self.target])
        self.answer("192.0.2.1", "192.0.2.2")
        self.resolver.prefer_others(self.target, ONE)
        self.assertEqual(self.resolver.addresses(self.target), (TWO, ONE))
        self.clock.advance(PERIOD)
        self.answer("192.0.2.1", "192.0.2.2")
        self.assertEqual(self.resolver.addresses(self.target), (TWO, ONE))

    def test_forgotten_name(self) -> None:
        """Without names there is no timer; a name that stays keeps what is known of it."""
        self.resolver.keep([self.target])
        self.answer("192.0.2.1")
        self.resolver.keep([self.target, parse("tcp:192.0.2.9:80")])
        self.assertEqual(self.resolver.addresses(self.target), (ONE,))
        self.resolver.keep([])
        self.assertEqual(self.clock.getDelayedCalls(), [])
