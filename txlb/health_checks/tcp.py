"""`tcp`: the backend accepts a connection.

It says little of a program that hangs: the kernel goes on accepting for a stopped one. `http` and `send-expect` see it.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred
from zope.interface import implementer

from txlb.health_checks.talk import converse
from txlb.interfaces import IHealthCheck


@implementer(IHealthCheck)
@frozen
class Tcp:
    """Connects and closes again. With a `tls:` endpoint the handshake counts as connecting."""

    reactor: Any = field(repr=False)

    def probe(self, connect: str) -> Deferred[str]:
        """Fires with `connected`."""
        return converse(self.reactor, connect, b"", lambda reply: "connected")
