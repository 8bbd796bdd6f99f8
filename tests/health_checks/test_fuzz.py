"""Whatever a backend sends, a check ends with words or with CheckFailed, holds nothing, and logs no error."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.health_checks.fakes import Network
from txlb.errors import CheckFailed
from txlb.registry import health_checks

PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 99999 \r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/2 200\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b" folded\r\n",
        b": none\r\n",
        b"\r\n",
        b"\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffffffff\r\n",
        b"-1\r\n",
        b"\0" * 20_000,
        b"hello",
    ]
)
REPLIES = st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=12)
BRIEF = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)


class FuzzTests(SynchronousTestCase):
    """Random replies, cut anywhere, then closed, or silence until the timeout."""

    def ends(self, name: str, options: dict[str, Any], chunks: list[bytes], close: bool) -> None:
        """Probe with this reply and see that it ends well."""
        network = Network()
        answer = health_checks().build(name, options, reactor=network.reactor).probe("tcp:192.0.2.1:80")
        results: list[Any] = []
        answer.addBoth(results.append)
        protocol, transport = network.connected()
        for chunk in chunks:
            if not transport.gone:
                protocol.dataReceived(chunk)
        if close:
            transport.closed_by_backend()
        else:
            answer.cancel()
        network.reactor.advance(0)
        [result] = results
        if isinstance(result, Failure):
            result.trap(CheckFailed, CancelledError)
        else:
            self.assertIsInstance(result, str)
        self.assertTrue(transport.gone)
        self.assertEqual(network.reactor.getDelayedCalls(), [])

    @BRIEF
    @given(REPLIES, st.booleans(), st.sampled_from([None, "hello", "/h.l+o/"]))
    @example([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"], False, "hello")
    def test_http(self, chunks: list[bytes], close: bool, body: str | None) -> None:
        """`http`, with and without a body to match."""
        self.ends("http", {"body": body}, chunks, close)

    @BRIEF
    @given(REPLIES, st.booleans())
    def test_send_expect(self, chunks: list[bytes], close: bool) -> None:
        """`send-expect` with a regular expression."""
        self.ends("send-expect", {"expect": "/^h.l+o$/"}, chunks, close)
