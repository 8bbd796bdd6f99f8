"""Tests for the checks that talk to a backend, over connections in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass

from tests.health_checks.fakes import Network
from txlb.errors import CheckFailed, OptionError
from txlb.health_checks.talk import REPLY_LIMIT
from txlb.interfaces import IHealthCheck
from txlb.registry import Registry, health_checks


class CheckCase(SynchronousTestCase):
    """Builds a check by its name, as the scheduler does, and probes 192.0.2.1:80 with it."""

    check = "tcp"

    def setUp(self) -> None:
        self.registry: Registry = health_checks()
        self.network = Network()

    def probe(self, connect: str = "tcp:192.0.2.1:80", **options: Any) -> Deferred[str]:
        """Start a probe."""
        check = self.registry.build(self.check, options, reactor=self.network.reactor)
        return check.probe(connect)

    def reply(self, *chunks: bytes, close: bool = False, **options: Any) -> Deferred[str]:
        """Probe; connect; answer in these chunks; then the backend may close."""
        answer = self.probe(**options)
        protocol, self.transport = self.network.connected()
        for chunk in chunks:
            if not self.transport.gone:
                protocol.dataReceived(chunk)
        if close:
            self.transport.closed_by_backend()
        return answer

    def failed(self, answer: Deferred[str]) -> str:
        """The reason of a bad verdict; nothing may be held afterwards."""
        self.network.reactor.advance(0)
        self.assertTrue(self.transport.gone)
        return str(self.failureResultOf(answer, CheckFailed).value)

    def good(self, answer: Deferred[str]) -> str:
        """The words of a good verdict; nothing may be held afterwards."""
        self.network.reactor.advance(0)
        self.assertTrue(self.transport.gone)
        return self.successResultOf(answer)

    def refuses(self, option: str, **options: Any) -> None:
        """These options cannot be configured."""
        problems = self.registry.check(self.check, options)
        self.assertEqual([type(p) for p in problems], [OptionError])
        self.assertEqual(problems[0].option, option)


class PluginTests(SynchronousTestCase):
    """The plugin lines."""

    def test_all_load(self) -> None:
        """The four checks are found by their names and provide the interface."""
        registry = health_checks()
        for name in ("tcp", "http", "send-expect", "exec"):
            verifyClass(IHealthCheck, registry.load(name))


class TcpTests(CheckCase):
    """`tcp`: a connection is enough."""

    def test_connected(self) -> None:
        """Accepted: good, and closed in order."""
        self.assertEqual(self.good(self.reply()), "connected")
        self.assertTrue(self.transport.disconnecting)

    def test_refused(self) -> None:
        """Refused: the network's own error."""
        answer = self.probe()
        self.network.refused(ConnectionRefusedError(111))
        self.failureResultOf(answer, ConnectionRefusedError)

    def test_cancelled(self) -> None:
        """Cancelled while connecting: the attempt is given up."""
        answer = self.probe()
        answer.cancel()
        self.failureResultOf(answer)
        self.assertTrue(self.network.reactor.connectors[-1].stoppedConnecting)

    def test_no_options(self) -> None:
        """It takes no options."""
        self.refuses("path", path="/")


class SendExpectTests(CheckCase):
    """`send-expect`: what is said, and what is looked for."""

    check = "send-expect"

    def test_dialogue(self) -> None:
        """Sends first, and finds an answer that comes in pieces."""
        answer = self.reply(b"+PO", b"NG\r\n", send=r"PING\r\n", expect="+PONG")
        self.assertEqual(self.transport.value(), b"PING\r\n")
        self.assertEqual(self.good(answer), "answered b'+PONG'")

    def test_banner(self) -> None:
        """Says nothing where the backend speaks first."""
        self.assertEqual(self.good(self.reply(b"220 ready\r\n", expect=r"/^220 /")), "answered b'220 '")
        self.assertEqual(self.transport.value(), b"")

    def test_closed_early(self) -> None:
        """A backend that closes without it gets its words quoted."""
        answer = self.reply(b"-ERR loading\r\n", close=True, expect="+PONG")
        self.assertEqual(self.failed(answer), r"connection closed after b'-ERR loading\r\n'")

    def test_bounded(self) -> None:
        """An endless reply is read up to the bound only."""
        answer = self.reply(*[b"x" * 10_000] * 10, expect="y")
        self.assertEqual(self.failed(answer), f"not found in the first {REPLY_LIMIT} bytes")

    def test_cancelled(self) -> None:
        """Cancelled: aborted, and what had come is the reason."""
        answer = self.reply(b"220-wait", expect="ready")
        answer.cancel()
        self.assertEqual(self.failed(answer), "timed out after b'220-wait'")

    def test_options(self) -> None:
        """Without `expect`, or with one that cannot be, it is refused with the option's name."""
        self.refuses("expect")
        self.refuses("expect", expect="")
        self.refuses("expect", expect="/[/")
        self.refuses("send", expect="a", send="x" * 20_000)


class HttpTests(CheckCase):
    """`http`: status and body."""

    check = "http"

    def test_request(self) -> None:
        """One request that asks to close, for the address that is probed."""
        self.reply(method="HEAD", path="/health?x=1")
        lines = self.transport.value().split(b"\r\n")
        self.assertEqual(lines[0], b"HEAD /health?x=1 HTTP/1.1")
        self.assertIn(b"Host: 192.0.2.1", lines)
        self.assertIn(b"Connection: close", lines)

    def test_host(self) -> None:
        """The Host header is what was asked for, and else has the port and an IPv6 address in brackets."""
        self.reply(host="www.example.org")
        self.assertIn(b"Host: www.example.org\r\n", self.transport.value())
        self.reply(connect=r"tcp:\:\:1:8080")
        self.assertIn(b"Host: [::1]:8080\r\n", self.transport.value())

    def test_status_decides(self) -> None:
        """The verdict falls with the headers: a body that never ends is not waited for."""
        answer = self.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
        self.assertEqual(self.good(answer), "status 200")

    def test_statuses(self) -> None:
        """2xx and 3xx are good unless other ones are expected."""
        self.assertEqual(self.good(self.reply(b"HTTP/1.1 302 Found\r\n\r\n")), "status 302")
        self.assertEqual(self.failed(self.reply(b"HTTP/1.1 503 Busy\r\n\r\n")), "status 503")
        self.assertEqual(self.good(self.reply(b"HTTP/1.0 404 No\r\n\r\n", expect=["4xx", 200])), "status 404")
        self.assertEqual(self.failed(self.reply(b"HTTP/1.1 204 No\r\n\r\n", expect=200)), "status 204")

    def test_continue(self) -> None:
        """Interim replies are not the answer."""
        answer = self.reply(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(self.good(answer), "status 200")

    def test_body(self) -> None:
        """The body is searched however it is framed, also where a chunk's border cuts the match."""
        for reply in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall fine",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nall fi\r\n2\r\nne\r\n0\r\n\r\n",
        ):
            self.assertEqual(self.good(self.reply(reply, body="fine")), "status 200")
            self.assertIn("'/bad/' is not in the body", self.failed(self.reply(reply, body="/bad/")))

    def test_body_until_close(self) -> None:
        """A body without a length ends with the connection."""
        answer = self.reply(b"HTTP/1.1 200 OK\r\n\r\nall ", b"fine", close=True, body="fine")
        self.assertEqual(self.good(answer), "status 200")

    def test_body_cut_short(self) -> None:
        """A body that ends before its length is a bad reply."""
        answer = self.reply(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine", close=True, body="fine")
        self.assertEqual(self.failed(answer), "the reply ended after 4 bytes of its body")

    def test_endless_body(self) -> None:
        """Of a body without end the first part is searched."""
        chunks = [b"HTTP/1.1 200 OK\r\n\r\nfine", *[b"x" * 10_000] * 10]
        self.assertEqual(self.good(self.reply(*chunks, body="fine")), "status 200")
        self.assertIn("bytes of the body", self.failed(self.reply(*chunks, body="bad")))

    def test_endless_headers(self) -> None:
        """Headers without end are a bad reply."""
        answer = self.reply(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"y" * 9_000 + b"\r\n"] * 10)
        self.assertIn("headers of more than", self.failed(answer))

    def test_not_http(self) -> None:
        """Something else than HTTP, and a close without a word."""
        self.assertEqual(self.failed(self.reply(b"SSH-2.0-OpenSSH_9.6\r\n", close=True)), "not an HTTP reply")
        self.assertEqual(self.failed(self.reply(close=True)), "no reply: connection closed")

    def test_cancelled(self) -> None:
        """Cancelled while connecting, waiting, and reading the body: nothing is held."""
        answer = self.probe()
        answer.cancel()
        self.failureResultOf(answer)
        self.assertTrue(self.network.reactor.connectors[-1].stoppedConnecting)
        for chunks in ([], [b"HTTP/1.1 200 OK\r\n\r\nmore to"]):
            answer = self.reply(*chunks, body="come")
            answer.cancel()
            self.network.reactor.advance(0)
            self.failureResultOf(answer, CancelledError, CheckFailed)
            self.assertTrue(self.transport.gone)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_options(self) -> None:
        """Each wrong option is refused with its name."""
        self.refuses("path", path="health")
        self.refuses("path", path="/a b")
        self.refuses("path", path="/\r\nX: y")
        self.refuses("method", method="get it")
        self.refuses("host", host="a\nb")
        self.refuses("expect", expect="ok")
        self.refuses("expect", expect=[])
        self.refuses("body", body="/(/")


class ExecOptionTests(CheckCase):
    """`exec`: what can be configured; running is tested with real processes."""

    check = "exec"

    def test_options(self) -> None:
        """No command, an empty one, or one that cannot be split is refused."""
        self.refuses("command")
        self.refuses("command", command="")
        self.refuses("command", command=[])
        self.refuses("command", command="echo 'open")
