"""`http`: a request gets a status out of a set, and, where asked for, a body that matches.

The request is HTTP/1.1 with `Connection: close`. The status alone decides as soon as the headers are there; a body is
read up to a bound. A `tls:` endpoint makes it HTTPS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from zope.interface import implementer

from txlb.errors import CheckFailed
from txlb.health_checks.addresses import host_and_port
from txlb.health_checks.bounded import BoundedEndpoint
from txlb.health_checks.patterns import compile_pattern
from txlb.health_checks.statuses import Written, parse_statuses
from txlb.health_checks.talk import REPLY_LIMIT
from txlb.health_checks.verdicts import network_words
from txlb.interfaces import IHealthCheck

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}", re.ASCII)
_PATH = re.compile(r"(/[!-\"$-~]*|\*)", re.ASCII)
_HOST = re.compile(r"[!-~]+", re.ASCII)


def _matches(pattern: re.Pattern[str], words: str) -> Callable[[Any, Attribute[Any], str | None], None]:
    def validate(_: Any, attribute: Attribute[Any], value: str | None) -> None:
        if value is not None and not pattern.fullmatch(value):
            raise ValueError(f"must be {words}, not {value!r}", attribute)

    return validate


def _parses(parse: Callable[[Any], object]) -> Callable[[Any, Attribute[Any], Any], None]:
    def validate(_: Any, attribute: Attribute[Any], value: Any) -> None:
        try:
            if value is not None:
                parse(value)
        except ValueError as error:
            raise ValueError(str(error), attribute) from None

    return validate


@implementer(IHealthCheck)
@frozen
class Http:
    """One request a probe, on a connection of its own."""

    reactor: Any = field(repr=False)
    path: str = field(
        default="/",
        validator=_matches(_PATH, "a path such as /health, percent-encoded"),
        metadata={"help": "what to ask for"},
    )
    method: str = field(
        default="GET", validator=_matches(_METHOD, "a method such as GET or HEAD"), metadata={"help": "how to ask"}
    )
    host: str | None = field(
        default=None,
        validator=_matches(_HOST, "a host name"),
        metadata={"help": "the Host header; default: the address that is probed"},
    )
    expect: Written = field(
        default="200-399",
        validator=_parses(parse_statuses),
        metadata={"help": "statuses that are good: 200, 2xx, 200-299, or a list"},
    )
    body: str | None = field(
        default=None,
        validator=_parses(compile_pattern),
        metadata={"help": "text that the body must contain, or /a regular expression/"},
    )

    def probe(self, connect: str) -> Deferred[str]:
        """Fires with such as `status 200`."""
        return Deferred.fromCoroutine(self._ask(connect))

    async def _ask(self, connect: str) -> str:
        line = BoundedEndpoint(clientFromString(self.reactor, connect))
        try:
            response = await self._response(line, connect)
            if response.code not in parse_statuses(self.expect):
                raise CheckFailed(f"status {response.code}")
            if self.body is not None:
                await self._matched(response, line, self.body)
            return f"status {response.code}"
        except CancelledError:
            line.abort()
            raise
        finally:
            line.close()

    async def _response(self, line: BoundedEndpoint, connect: str) -> Any:
        headers = Headers({"Host": [self.host or _host_header(connect)], "User-Agent": ["txlb"], "Accept": ["*/*"]})
        agent = Agent.usingEndpointFactory(self.reactor, line)
        try:
            return await agent.request(self.method.encode(), b"http://txlb" + self.path.encode(), headers)
        except ResponseFailed as failed:
            if any(reason.check(CancelledError) for reason in failed.reasons):
                raise CancelledError from None
            if line.overflowed:
                raise CheckFailed(f"headers of more than {REPLY_LIMIT} bytes") from None
            raise CheckFailed(_why(failed)) from None

    async def _matched(self, response: Any, line: BoundedEndpoint, wanted: str) -> None:
        body = await _read(response, line)
        if not compile_pattern(wanted).search(body):
            where = f"the first {len(body)} bytes of the body" if line.overflowed else "the body"
            raise CheckFailed(f"status {response.code}, but {wanted!r} is not in {where}")


def _host_header(connect: str) -> str:
    host, port = host_and_port(connect)
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{port}" if port not in ("", "80", "443") else host or "localhost"


def _why(failed: ResponseFailed) -> str:
    causes = [reason.value for reason in failed.reasons]
    for cause in causes:
        if type(cause).__module__.startswith("twisted.web"):
            return "not an HTTP reply"
    return f"no reply: {network_words(causes[-1])}" if causes else "no reply"


def _read(response: Any, line: BoundedEndpoint) -> Deferred[bytes]:
    body = _Body(line)
    response.deliverBody(body)
    return body.done


class _Body(Protocol):
    """What there is of a body; a connection that ends too early is a failure, one that we cut is not."""

    def __init__(self, line: BoundedEndpoint) -> None:
        self.done: Deferred[bytes] = Deferred()
        self._line = line
        self._body = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._body += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if self._line.overflowed or reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._body))
        else:
            self.done.errback(CheckFailed(f"the reply ended after {len(self._body)} bytes of its body"))
