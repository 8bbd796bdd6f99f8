"""One short, bounded conversation with a backend: connect, say something, read until it is clear, close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IAddress, IHandshakeListener, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb.errors import CheckFailed
from txlb.health_checks.verdicts import network_words, one_line

REPLY_LIMIT = 64 * 1024
"""Bytes of a reply that are read at most."""

Judge = Callable[[bytes], str | None]


def converse(reactor: Any, connect: str, send: bytes, judge: Judge) -> Deferred[str]:
    """Send, then show `judge` what has come so far, from nothing on, until it answers in a few words.

    Fires once the connection is gone; fails with CheckFailed or with the endpoint's error. Cancelling aborts it.
    """
    talk = Talk(send, judge)
    connected: Deferred[Any] = clientFromString(reactor, connect).connect(_Once(talk))
    return connected.addCallback(lambda _: talk.done)


@implementer(IHandshakeListener)
class Talk(Protocol):
    """The verdict is kept until the connection is lost, so that whoever hears it knows that nothing is held."""

    transport: Any

    def __init__(self, send: bytes, judge: Judge) -> None:
        self.done: Deferred[str] = Deferred(self._cancelled)
        self._send = send
        self._judge = judge
        self._reply = bytearray()
        self._verdict: str | Failure | None = None

    def connectionMade(self) -> None:
        if self._send:
            self.transport.write(self._send)
        if not ISSLTransport.providedBy(self.transport):
            self._consider()

    def handshakeCompleted(self) -> None:
        self._consider()

    def dataReceived(self, data: bytes) -> None:
        if self._verdict is None:
            self._reply += data[: REPLY_LIMIT - len(self._reply)]
            self._consider()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._finish(self._verdict or Failure(CheckFailed(f"{network_words(reason.value)}{self._after()}")))

    def _consider(self) -> None:
        verdict: str | Failure | None = self._judge(bytes(self._reply))
        if verdict is None and len(self._reply) >= REPLY_LIMIT:
            verdict = Failure(CheckFailed(f"not found in the first {REPLY_LIMIT} bytes"))
        if verdict is not None:
            self._verdict = verdict
            close(self.transport)

    def _cancelled(self, _: Deferred[str]) -> None:
        self._finish(self._verdict or Failure(CheckFailed(f"timed out{self._after()}")))
        self.transport.abortConnection()

    def _finish(self, verdict: str | Failure) -> None:
        if self.done.called:
            return
        if isinstance(verdict, Failure):
            self.done.errback(verdict)
        else:
            self.done.callback(verdict)

    def _after(self) -> str:
        return f" after {one_line(repr(bytes(self._reply[:60])))}" if self._reply else " without an answer"


class _Once(Factory):
    noisy = False

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def buildProtocol(self, addr: IAddress | None) -> Talk:
        return self._talk


def close(transport: Any) -> None:
    """In order where that ends at once; TLS waits for an answer that may never come, so it is aborted."""
    if ISSLTransport.providedBy(transport):
        transport.abortConnection()
    else:
        transport.loseConnection()
