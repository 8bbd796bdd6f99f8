"""`txlb.engines.epoll.targets`: which client endpoint strings the engine can dial."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.engines.epoll.engine import EpollEngine
from txlb.engines.epoll.targets import parse
from txlb.specs import TimeoutsSpec


class ParseTests(SynchronousTestCase):
    """Strings are read as Twisted reads them."""

    def test_ipv4(self) -> None:
        """An address needs no resolution."""
        self.assertEqual(parse("tcp:192.0.2.1:80").addresses, ((socket.AF_INET, ("192.0.2.1", 80)),))

    def test_ipv6(self) -> None:
        """Colons of an IPv6 address are escaped."""
        self.assertEqual(parse(r"tcp:\:\:1:80").addresses, ((socket.AF_INET6, ("::1", 80, 0, 0)),))

    def test_name(self) -> None:
        """A host name has no addresses yet."""
        target = parse("tcp:host=example.test:port=81:timeout=3:bindAddress=127.0.0.2")
        self.assertEqual((target.host, target.port, target.bind), ("example.test", 81, "127.0.0.2"))
        self.assertEqual(target.addresses, ())

    def test_port_after_named_host(self) -> None:
        """With `host=` the one value is the port."""
        self.assertEqual(parse("tcp:80:host=192.0.2.1").addresses, ((socket.AF_INET, ("192.0.2.1", 80)),))

    def test_unix(self) -> None:
        """A path may hold escaped colons and, within an option, equals signs."""
        self.assertEqual(parse(r"unix:/tmp/a\:b").addresses, ((socket.AF_UNIX, "/tmp/a:b"),))
        self.assertEqual(parse("unix:path=/tmp/a=b:timeout=1").addresses, ((socket.AF_UNIX, "/tmp/a=b"),))

    def test_objections(self) -> None:
        """Everything else is refused with a reason that names the string and what is wrong."""
        for connect, reason in (
            ("tls:example.test:443", "neither tcp: nor unix:"),
            ("ssl:example.test:443", "neither tcp: nor unix:"),
            ("", "neither tcp: nor unix:"),
            ("tcp:192.0.2.1", "needs a host and a numeric port"),
            ("tcp:192.0.2.1:http", "needs a host and a numeric port"),
            ("tcp:192.0.2.1:0", "port from 1 to 65535"),
            ("tcp::80", "port from 1 to 65535"),
            ("tcp:192.0.2.1:80:81", "too many fields"),
            ("tcp:192.0.2.1:80:colour=red", "unknown option colour="),
            ("unix:", "path of 1 to 107 bytes"),
            ("unix:" + "x" * 108, "path of 1 to 107 bytes"),
            ("unix:/tmp/s:lockfile=1", "lockfile="),
            (r"tcp:fe80\:\:1%nonesuch:80", "network interface"),
        ):
            error = self.assertRaises(ValueError, parse, connect)
            self.assertIn(reason, str(error))


class Preparing(SynchronousTestCase):
    """`EpollEngine.prepare`"""

    def test_what_it_cannot_dial_is_left_out(self) -> None:
        """While a reload switches engines, the old one may hear of what it cannot dial, and knows the rest."""
        engine = EpollEngine(Clock(), Clock())
        engine.prepare(["tls:127.0.0.1:1", "unix:/nobody/is/here"], TimeoutsSpec())
        self.assertRaises(KeyError, engine.dial, "tls:127.0.0.1:1", None)
        engine.dial("unix:/nobody/is/here", None).cancel()  # type: ignore[arg-type]
        engine.stop()

    def test_cancelled_after_its_name_was_forgotten(self) -> None:
        """A dial whose name a reload forgot, and which then was given up, does nothing with a late answer."""
        receivers: list[Any] = []
        reactor: Any = Clock()
        reactor.nameResolver = SimpleNamespace(resolveHostName=lambda receiver, *question: receivers.append(receiver))
        engine = EpollEngine(reactor, reactor)
        engine.prepare(["tcp:example.com:1"], TimeoutsSpec())
        dial = engine.dial("tcp:example.com:1", object())  # type: ignore[arg-type]
        engine.prepare([], TimeoutsSpec())
        dial.cancel()
        receivers[0].addressResolved(IPv4Address("TCP", "192.0.2.1", 1))
        receivers[0].resolutionComplete()
        self.assertEqual(dial.fd, -1)
        engine.stop()
