"""The health checks against real sockets and real processes on loopback."""

from __future__ import annotations

import datetime
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from tests.health_checks.fakes import fake_pool
from txlb.events import EventBus
from txlb.health_checks import Scheduler
from txlb.health_checks.probe import Probe
from txlb.health_checks.verdicts import Kind, Verdict
from txlb.registry import health_checks
from txlb.specs import BackendSpec


async def until(condition: Any) -> Any:
    """Wait until this is true; the test's own timeout is the bound."""
    while not (value := condition()):
        await deferLater(reactor, 0.01)
    return value


class Case(TestCase):
    """Servers on ports from the system, and probes run as the scheduler runs them."""

    timeout = 20

    async def listen(self, factory: Factory) -> str:
        """Serve on loopback; the client endpoint string for it."""
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return f"tcp:127.0.0.1:{port.getHost().port}"

    async def verdict(self, check: str, connect: str, timeout: float = 5.0, **options: Any) -> Verdict:
        """Probe once."""
        ended: Deferred[Verdict] = Deferred()
        built = health_checks().build(check, options, reactor=reactor)
        Probe(reactor, timeout, ended.callback).start(built.probe, connect)
        return await ended

    async def says(self, kind: Kind, words: str, check: str, connect: str, **options: Any) -> None:
        """Probe once and compare."""
        found = await self.verdict(check, connect, **options)
        self.assertIs(found.kind, kind, found)
        self.assertIn(words, found.reason)


class Greeting(Protocol):
    """Greets, answers a line with OK, and counts who is connected."""

    connections: set[Greeting] = set()

    def connectionMade(self) -> None:
        self.connections.add(self)
        self.transport.write(b"220 ready\r\n")

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"250 OK\r\n")

    def connectionLost(self, reason: Any) -> None:
        self.connections.discard(self)


def refused_address() -> str:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp:127.0.0.1:{free.getsockname()[1]}"


class SocketTests(Case):
    """Checks that connect."""

    async def test_tcp(self) -> None:
        """Accepted is good, refused is not; the connection is gone afterwards."""
        await self.says(Kind.OK, "connected", "tcp", await self.listen(Factory.forProtocol(Greeting)))
        await self.says(Kind.FAILED, "refused", "tcp", refused_address())
        await until(lambda: not Greeting.connections)

    async def test_send_expect(self) -> None:
        """A dialogue; silence ends at the timeout with what had come, and nothing stays connected."""
        place = await self.listen(Factory.forProtocol(Greeting))
        await self.says(Kind.OK, "220", "send-expect", place, expect="/^220 /")
        await self.says(Kind.OK, "250", "send-expect", place, send=r"NOOP\r\n", expect="250 OK")
        await self.says(Kind.FAILED, "timed out after b'220 ready", "send-expect", place, expect="never", timeout=0.1)
        await until(lambda: not Greeting.connections)

    async def test_http(self) -> None:
        """Status and body from a real web server; a silent one is cut at the timeout; and TLS where there is none."""

        class Page(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                request.setResponseCode(200 if request.path == b"/health" else 503)
                return b"all fine"

        place = await self.listen(Site(Page()))
        await self.says(Kind.OK, "status 200", "http", place, path="/health")
        await self.says(Kind.OK, "status 200", "http", place, path="/health", body="/f.ne/")
        await self.says(Kind.FAILED, "not in the body", "http", place, path="/health", body="other")
        await self.says(Kind.FAILED, "status 503", "http", place)
        silent = await self.listen(Factory.forProtocol(Protocol))
        await self.says(Kind.FAILED, "timed out", "http", silent, timeout=0.1)
        await self.says(Kind.FAILED, "refused", "http", refused_address())
        greeting = await self.listen(Factory.forProtocol(Greeting))
        await self.says(Kind.FAILED, "not an HTTP reply", "http", greeting)
        found = await self.verdict("http", place.replace("tcp:", "tls:"))
        self.assertIs(found.kind, Kind.FAILED, found)
        await until(lambda: not Greeting.connections)

    async def test_unix_socket(self) -> None:
        """A UNIX socket is checked like any other address; one that is not there is a bad verdict."""
        path = f"/tmp/txlb-hc-{os.getpid()}.sock"
        port = await serverFromString(reactor, f"unix:{path}").listen(Factory.forProtocol(Greeting))
        self.addCleanup(port.stopListening)
        await self.says(Kind.OK, "220", "send-expect", f"unix:{path}", expect="220")
        found = await self.verdict("tcp", "unix:/nonexistent/txlb.sock")
        self.assertIs(found.kind, Kind.FAILED, found)
        await until(lambda: not Greeting.connections)

    async def test_stopped_process(self) -> None:
        """The kernel accepts for a stopped process, so `tcp` is content; `http` sees that nobody answers."""
        server = Server()
        code = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler); "
        code += "print(s.server_port, flush=True); s.serve_forever()"
        process = reactor.spawnProcess(server, sys.executable, [sys.executable, "-c", code], env={})
        self.addCleanup(lambda: server.ended)
        self.addCleanup(process.signalProcess, "KILL")
        place = f"tcp:127.0.0.1:{int(await until(lambda: server.printed.strip()))}"
        await self.says(Kind.OK, "status 200", "http", place)
        process.signalProcess("STOP")
        await self.says(Kind.OK, "connected", "tcp", place)
        await self.says(Kind.FAILED, "timed out", "http", place, timeout=0.3)


class TLSTests(Case):
    """Checks over TLS: the certificate is verified as the endpoint string says."""

    async def setUp(self) -> None:
        """A web server with a certificate of its own making, and the client endpoint string that trusts it."""
        folder = Path(self.mktemp())
        folder.mkdir()
        make_certificate(folder)
        page = Data(b"all fine", "text/plain")
        page.isLeaf = True
        listen = f"ssl:0:interface=127.0.0.1:privateKey={folder}/private.key:certKey={folder}/trusted.pem"
        port = await serverFromString(reactor, listen).listen(Site(page))
        self.addCleanup(port.stopListening)
        self.unknown = f"tls:localhost:{port.getHost().port}"
        self.trusted = f"{self.unknown}:trustRoots={folder}"

    async def test_trusted(self) -> None:
        """Every check that connects works over TLS."""
        await self.says(Kind.OK, "connected", "tcp", self.trusted)
        await self.says(Kind.OK, "status 200", "http", self.trusted, body="fine")
        hello = {"send": r"GET / HTTP/1.0\r\n\r\n", "expect": "fine"}
        await self.says(Kind.OK, "fine", "send-expect", self.trusted, **hello)

    async def test_untrusted(self) -> None:
        """A certificate that is not trusted is a bad verdict, and said."""
        await self.says(Kind.FAILED, "certificate verify failed", "tcp", self.unknown)
        await self.says(Kind.FAILED, "certificate verify failed", "http", self.unknown)
        await self.says(Kind.FAILED, "certificate verify failed", "send-expect", self.unknown, expect="x")

    async def test_silent_handshake(self) -> None:
        """Who accepts and never shakes hands is cut at the timeout."""
        silent = (await self.listen(Factory.forProtocol(Protocol))).replace("tcp:127.0.0.1", "tls:localhost")
        await self.says(Kind.FAILED, "timed out", "tcp", silent, timeout=0.2)


def make_certificate(folder: Path) -> None:
    """Write private.key and trusted.pem, a certificate for localhost that signs itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "private.key").write_bytes(private)
    (folder / "trusted.pem").write_bytes(certificate.public_bytes(encoding))


class Server(ProcessProtocol):
    """A server process that prints its port."""

    def __init__(self) -> None:
        self.printed = b""
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.printed += data

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(None)


class ExecTests(Case):
    """`exec` runs real commands."""

    async def test_exit_status(self) -> None:
        """0 is good; anything else is not, and the first line printed is the reason."""
        await self.says(Kind.OK, "exit status 0", "exec", "tcp:a:1", command="true")
        await self.says(
            Kind.FAILED, "exit status 3: disk full", "exec", "tcp:a:1", command="sh -c 'echo disk full; exit 3'"
        )
        await self.says(Kind.FAILED, "signal 9", "exec", "tcp:a:1", command=["sh", "-c", "kill -9 $$"])

    async def test_environment(self) -> None:
        """The command learns whom to ask."""
        script = 'test "$TXLB_HOST $TXLB_PORT $TXLB_CONNECT" = "db 5432 tcp:db:5432"'
        await self.says(Kind.OK, "exit status 0", "exec", "tcp:db:5432", command=["sh", "-c", script])

    async def test_names(self) -> None:
        """A scheduler tells it the names too."""
        pool = fake_pool(1, check="exec", options={"command": ["sh", "-c", 'test "$TXLB_POOL $TXLB_NAME" = "web b0"']})
        scheduler = Scheduler(reactor, reactor, random.Random(1), EventBus())
        self.addCleanup(scheduler.stop)
        scheduler.sync(pool)
        await until(lambda: pool.observed)
        self.assertEqual(pool.observed, [("b0", True, "exit status 0")])

    async def test_missing_command(self) -> None:
        """A command that is not there is a bad verdict that names it."""
        await self.says(Kind.FAILED, "no-such-command", "exec", "tcp:a:1", command="/no-such-command")

    async def test_endless_output(self) -> None:
        """Output without end is not kept, and the command is killed at the timeout."""
        await self.says(Kind.FAILED, "timed out", "exec", "tcp:a:1", command="yes", timeout=0.3)

    async def test_killed_with_children(self) -> None:
        """At the timeout the whole process group goes, not only the shell."""
        note = Path(self.mktemp())
        script = f"sleep 300 & echo $! > {note}.new; mv {note}.new {note}; wait"
        ended: list[Verdict] = []
        check = health_checks().build("exec", {"command": ["sh", "-c", script]}, reactor=reactor)
        probe = Probe(reactor, 15.0, ended.append)
        probe.start(check.probe, "tcp:a:1")
        child = int(await until(lambda: note.exists() and note.read_text()))
        os.kill(child, 0)
        probe.cancel()
        await until(lambda: not running(child))
        self.assertEqual(ended, [])

    async def test_verdict_despite_open_output(self) -> None:
        """A command that succeeded is believed, even if something that it left behind keeps its output open."""
        note = Path(self.mktemp())
        script = f"setsid sleep 300 & echo $! > {note}"
        found = await self.verdict("exec", "tcp:a:1", timeout=0.5, command=["sh", "-c", script])
        os.kill(int(note.read_text()), signal.SIGKILL)
        self.assertEqual((found.kind, found.reason), (Kind.OK, "exit status 0"))


def running(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class SchedulerTests(Case):
    """A scheduler on the real reactor."""

    async def test_goes_down_and_up(self) -> None:
        """A backend that stops listening gets bad verdicts, and good ones when it is back; at the end nothing is left."""
        port = await serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(Factory.forProtocol(Greeting))
        number = port.getHost().port
        pool = fake_pool(1, check="tcp", interval=0.05, timeout=1.0)
        pool.backends["b0"].spec = BackendSpec("b0", f"tcp:127.0.0.1:{number}")
        scheduler = Scheduler(reactor, reactor, random.Random(1), EventBus())
        self.addCleanup(scheduler.stop)
        scheduler.sync(pool)
        await until(lambda: pool.observed and pool.observed[-1] == ("b0", True, "connected"))
        await port.stopListening()
        await until(lambda: pool.observed[-1] == ("b0", False, "connection refused"))
        port = await serverFromString(reactor, f"tcp:{number}:interface=127.0.0.1").listen(
            Factory.forProtocol(Greeting)
        )
        self.addCleanup(port.stopListening)
        await until(lambda: pool.observed[-1][1])
        scheduler.stop()
        await until(lambda: not Greeting.connections)
