"""From bytes to requests, within bounds.

`twisted.web` bounds the size of a header, but neither a body, nor the time in which a request must be complete, nor how
many connections there are. A request has to be here, and the answer to the one before it taken, within `REQUEST_TIME`,
however busily bytes trickle in. When every connection is taken, a new one gets the place of the oldest one that
has not asked anything.

A refusal half-closes and goes on reading for a moment: a close with unread bytes in the kernel is a reset, which takes
the refusal away from whom it is meant for.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import NO_BODY_CODES, HTTPChannel, Request, datetimeToString

from txlb.admin.answers import Answer, Refusal

log = Logger()

REQUEST_TIME = 30.0
"""Seconds for one request to arrive, and for the answer before it to be taken."""

CLOSING_TIME = 2.0
"""Seconds for the other end to close too."""

LONGEST_HEADER = 8192
LONGEST_BODY = 65536
MOST_CONNECTIONS = 128


class AdminRequest(Request):
    """A request whose body is here in full. It parses no forms and no multipart, unlike its base."""

    channel: Any

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        assert isinstance(self.content, BytesIO)
        if self.content.tell() + len(data) > LONGEST_BODY:
            self.channel.refuse(too_long())
        else:
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, self.query = path.partition(b"?")
        # Not at once: a thousand requests in one read must not be a thousand answers in one turn.
        self.channel.factory.clock.callLater(0, self._serve)

    def _serve(self) -> None:
        if not self._disconnected:
            self.channel.factory.serve(self)

    @property
    def body(self) -> bytes:
        """All of it."""
        assert isinstance(self.content, BytesIO)
        return self.content.getvalue()

    def send(self, answer: Answer) -> None:
        """The whole response; does nothing when nobody is there any more."""
        if self._disconnected or self.finished:
            return
        self.send_head(answer)
        self.write(answer.body)
        self.finish()

    def send_head(self, answer: Answer) -> None:
        """Status and headers only."""
        self.setResponseCode(answer.status, HTTPStatus(answer.status).phrase.encode())
        self.setHeader("Date", datetimeToString())
        for name, value in answer.all_headers().items():
            self.setHeader(name, value)
        if answer.status in NO_BODY_CODES:
            self.responseHeaders.removeHeader("Content-Length")


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def too_long() -> Refusal:
    """What a body gets that is too long."""
    return Refusal(413, f"a body has at most {LONGEST_BODY} bytes")


class AdminChannel(HTTPChannel):
    """One connection. `waiting` while a request is not complete."""

    requestFactory = AdminRequest
    totalHeadersSize = LONGEST_HEADER
    MAX_LENGTH = LONGEST_HEADER
    maxHeaders = 100

    factory: AdminFactory
    transport: Any
    _networkProducer: Any

    def __init__(self) -> None:
        super().__init__()
        self.timeOut = None  # resets with every byte; the deadline below does not
        self._refused = False
        self._deadline: IDelayedCall | None = None
        self.waiting = True

    def connectionMade(self) -> None:
        super().connectionMade()
        self._wait()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._set_deadline(None)
        self.factory.channels.pop(self, None)
        super().connectionLost(reason)

    def dataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if not self._refused:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(Refusal(431, f"a line has at most {LONGEST_HEADER} bytes"))

    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and len(value.strip()) > 15:
            self.refuse(too_long())
        elif not line.isascii() and name.strip().lower() != b"authorization" and not _is_text(value):
            self.refuse(Refusal(400, "a header is not UTF-8"))
        return not self._refused and bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        if self.length is not None and self.length > LONGEST_BODY:
            self.refuse(too_long())
        else:
            super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self._refused:
            self._set_deadline(None)
            self.waiting = False
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        self._wait()
        super().requestDone(request)
        # Twisted pauses reading only where the transport is full between two requests, and here it is full within one.
        if self._waitingForTransport and not self._handlingRequest and not self._refused:
            self._networkProducer.pauseProducing()

    def _respondToBadRequestAndDisconnect(self) -> None:
        large = self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount > self.maxHeaders
        self.refuse(Refusal(431, "the header is too large") if large else Refusal(400, "this is not HTTP"))

    def refuse(self, refusal: Refusal) -> None:
        """Answer what cannot become a request, and close."""
        if self._refused:
            return
        self._refused = True
        answer = refusal.answer()
        head = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"Date: {datetimeToString().decode()}"]
        head += [f"{name}: {value}" for name, value in {**answer.all_headers(), "Connection": "close"}.items()]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + answer.body)
        self.close()

    def close(self) -> None:
        """Close when what was written is flushed, or after a moment in any case."""
        self._refused = True
        self._set_deadline(CLOSING_TIME, self.abort)
        self._networkProducer.unregisterProducer()
        half_close = getattr(self.transport, "loseWriteConnection", None)
        if half_close is not None and not self.isSecure():
            half_close()
            self._networkProducer.resumeProducing()
        else:
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close now."""
        self._set_deadline(None)
        self.transport.abortConnection()

    def retire(self) -> None:
        """The admin is no longer offered here: close, after the answer that is on its way."""
        self.persistent = 0
        if self.waiting:
            self.close()

    def _wait(self) -> None:
        self.waiting = True
        self._set_deadline(REQUEST_TIME, self._late)

    def _late(self) -> None:
        if self.requests or self._buffer:
            self.refuse(Refusal(408, f"a request has to be complete within {REQUEST_TIME:g} s"))
        else:
            self.close()

    def _set_deadline(self, seconds: float | None, late: Callable[[], object] | None = None) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None and late is not None:
            self._deadline = self.factory.clock.callLater(seconds, late)


class AdminFactory(Factory[Any]):
    """Builds the channels, and knows them. `serve(request)` gets each request that is here in full."""

    noisy = False

    def __init__(self, clock: IReactorTime, serve: Callable[[AdminRequest], object]) -> None:
        self.clock = clock
        self.serve = serve
        self.channels: dict[AdminChannel, None] = {}

    def buildProtocol(self, address: object) -> IProtocol | None:
        """None, which closes the connection, where every place is taken by somebody who is being answered."""
        if len(self.channels) >= MOST_CONNECTIONS and not self._make_room():
            return None
        channel = AdminChannel()
        channel.factory = self
        self.channels[channel] = None
        return channel

    def _make_room(self) -> bool:
        oldest = next((channel for channel in self.channels if channel.waiting), None)
        if oldest is None:
            return False
        self.channels.pop(oldest)
        oldest.abort()
        return True

    def log(self, request: AdminRequest) -> None:
        """`twisted.web` tells of every request here. Changes are logged where they are made, the rest is not worth it."""

    def close(self) -> None:
        """No more requests are to be served on what is open."""
        for channel in tuple(self.channels):
            channel.retire()
