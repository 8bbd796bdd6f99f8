"""The admin of a real balancer, over real sockets: steering, rules, reloads, and clients that mean no good."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import stat
import sys
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.integration import programs
from txlb.admin import channel as bounds
from txlb.admin.server import Admin
from txlb.clock import SteadyClock
from txlb.service.admin import AdminPort
from txlb.service.balancer import Balancer
from txlb.service.control import LocalControl
from txlb.service.ports import PortUnavailable
from txlb.specs import AdminSpec

CONFIG = """
listeners: {{web: {{listen: "tcp:{web}:interface=127.0.0.1", pool: web}}}}
pools: {{web: {{backends: [{{name: a, connect: "tcp:127.0.0.1:{a}"}}, {{name: b, connect: "tcp:127.0.0.1:{b}"}}]}}}}
echo: ["tcp:{a}:interface=127.0.0.1", "tcp:{b}:interface=127.0.0.1"]
drain_timeout: 60s
"""
BACKEND = "/api/v1/pools/web/backends/a"
PATIENCE = 15.0


class Asking(http.client.HTTPConnection):
    """To a port, or to the UNIX socket of a path."""

    def __init__(self, where: int | str) -> None:
        super().__init__("127.0.0.1", where if isinstance(where, int) else 80, timeout=PATIENCE)
        self.where = where

    def connect(self) -> None:
        if isinstance(self.where, int):
            super().connect()
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(PATIENCE)
            self.sock.connect(self.where)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the JSON."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            told["Content-Type"] = "application/json"
        self.request(method, path, None if body is None else json.dumps(body), told)
        response = self.getresponse()
        return response.status, json.loads(response.read())


class Case(SynchronousTestCase):
    """A real balancer with an admin."""

    def setUp(self) -> None:
        self.ports = {name: programs.free_port() for name in ("web", "a", "b")}
        self.port = programs.free_port()

    def config(self, admin: str | None) -> str:
        """The configuration, with this admin."""
        return CONFIG.format(**self.ports) + ("" if admin is None else f"admin: {admin}\n")

    def start(self, admin: str) -> programs.Program:
        """A running balancer with this admin; `self.file` is its configuration."""
        self.file = programs.folder(self) / "config.yaml"
        self.file.write_text(self.config(admin))
        ports = [*self.ports.values(), *map(int, re.findall(r"tcp:(\d+)", admin))]
        return programs.twist(self, "txlb", "--config", str(self.file), ports=ports, cwd=self.file.parent)

    def start_on_tcp(self, more: str = "") -> programs.Program:
        """With an admin on `self.port`."""
        return self.start(self.on_tcp(self.port, more))

    def on_tcp(self, port: int, more: str = "") -> str:
        """An admin on this port."""
        return f'{{listen: "tcp:{port}:interface=127.0.0.1"{more}}}'

    def asking(self, where: int | str | None = None) -> Asking:
        """A connection to the admin."""
        connection = Asking(self.port if where is None else where)
        self.addCleanup(connection.close)
        return connection

    def ask(self, *arguments: Any, where: int | str | None = None, **headers: str) -> tuple[int, Any]:
        """One request on a connection of its own."""
        return self.asking(where).ask(*arguments, **headers)

    def txlb(self, *arguments: str, check: bool = True) -> Any:
        """The `txlb` command, with this configuration."""
        command = [sys.executable, "-m", "txlb", *arguments, "--config", str(self.file)]
        return programs.run(command, check=check, cwd=str(programs.ROOT))


class SteeringTests(Case):
    """Seeing and changing."""

    def test_drained_backend_gets_nothing(self) -> None:
        """`txlb backend` drains one, traffic goes to the other, `txlb status` tells, and `ready` brings it back."""
        balancer = self.start_on_tcp()
        done = self.txlb("backend", "web/a", "drain")
        self.assertEqual(done.stdout, "web/a: drain, weight 1, 0 open, in drain by the operator\n")
        for _ in range(4):
            self.echo()
        backends = self.ask("GET", "/api/v1/state")[1]["pools"]["web"]["backends"]
        self.assertEqual([backends[name]["total"] for name in ("a", "b")], [0, 4])
        table = self.txlb("status").stdout
        self.assertRegex(table, r"(?m)^a +drain +1 ")
        self.assertIn("ready", self.txlb("backend", "web/a", "ready").stdout)
        for _ in range(4):
            self.echo()
        self.assertEqual(self.ask("GET", "/api/v1/state")[1]["pools"]["web"]["backends"]["a"]["total"], 2)
        self.assertRegex(balancer.output(), r"Audit: 127\.0\.0\.1:\d+ changed web/a: admin ready -> drain")

    def test_added_and_removed(self) -> None:
        """A backend that was added gets connections; names with colons and slashes work from end to end."""
        self.start_on_tcp()
        name = f"tcp:127.0.0.1:{self.ports['b']}"
        self.txlb("backend", f"web/{name}", "add", "--weight", "5")
        self.txlb("backend", "web/unix:/nonexistent/a b.sock", "add")
        for gone in ("a", "b", "unix:/nonexistent/a b.sock"):
            self.assertIn("removed", self.txlb("backend", f"web/{gone}", "remove").stdout)
        self.echo()
        backends = self.ask("GET", "/api/v1/state")[1]["pools"]["web"]["backends"]
        self.assertEqual({name: told["total"] for name, told in backends.items()}, {name: 1})

    def test_events(self) -> None:
        """`txlb events` tells of a change while it happens, and ends with 69 when the balancer does."""
        balancer = self.start_on_tcp()
        self.ask("POST", BACKEND, {"weight": 3})
        command = [sys.executable, "-u", "-m", "txlb", "events", "--config", str(self.file)]
        following = programs.start(self, command, cwd=programs.ROOT)
        following.wait_for_output(r"BackendChanged web/a what=weight value=3")
        self.ask("POST", BACKEND, {"admin": "maint"})
        following.wait_for_output(r"BackendChanged web/a what=admin value=maint by=127\.0\.0\.1:\d+")
        balancer.signal(signal.SIGKILL)
        self.assertEqual(following.wait(), 69)

    def test_metrics(self) -> None:
        """A scraper finds them, by any name."""
        self.start_on_tcp()
        connection = self.asking()
        connection.request("GET", "/metrics", headers={"Host": "scraped.example"})
        response = connection.getresponse()
        body = response.read().decode()
        self.assertEqual(response.status, 200)
        self.assertIn("# TYPE txlb_", body)

    def test_page(self) -> None:
        """The dashboard is there, with its files, under a strict policy."""
        self.start_on_tcp()
        connection = self.asking()
        connection.request("GET", "/")
        response = connection.getresponse()
        page = response.read().decode()
        self.assertEqual(response.status, 200)
        self.assertIn("default-src 'none'", response.getheader("content-security-policy") or "")
        for name in re.findall(r'(?:src|href)="/?([\w.-]+\.(?:js|css))"', page):
            connection.request("GET", f"/{name}")
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, 200, name)

    def echo(self) -> None:
        """One connection through the balancer."""
        with socket.create_connection(("127.0.0.1", self.ports["web"]), PATIENCE) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            received = b""
            while data := client.recv(100):
                received += data
        self.assertEqual(received, b"hello")


class DocumentTests(Case):
    """`docs/admin.md`"""

    def test_examples(self) -> None:
        """Each of its commands does what it is there for, in the order in which they are written."""
        text = (programs.ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
        commands = re.findall(r"(?m)^\$ (curl .*|txlb backend .*?|txlb status)(?: +#.*)?$", text)
        self.assertGreater(len(commands), 12)
        curl = programs.find("curl")
        self.start_on_tcp()
        self.file.write_text(
            self.file.read_text().replace("web: {backends: [{name: a,", "echoes: {backends: [{name: green,")
        )
        self.file.write_text(self.file.read_text().replace("pool: web", "pool: echoes"))
        self.assertEqual(self.ask("POST", "/api/v1/reload")[0], 200)
        for command in commands:
            program, *arguments = shlex.split(command.replace("127.0.0.1:9090", f"127.0.0.1:{self.port}"))
            if program == "txlb":
                self.assertEqual(self.txlb(*arguments).returncode, 0, command)
            else:
                done = programs.run([curl, "--fail-with-body", *arguments], check=False)
                self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}")


class RuleTests(Case):
    """Who may."""

    def test_unix_socket(self) -> None:
        """For its owner alone; any Host will do; the audit knows the user."""
        path = programs.folder(self) / "admin.sock"
        balancer = self.start(f'{{listen: "unix:{path}"}}')
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        status, _ = self.ask("POST", BACKEND, {"weight": 9}, where=str(path), Host="whatever")
        self.assertEqual(status, 200)
        balancer.wait_for_output(rf"Audit: uid {os.getuid()} changed web/a: weight 1 -> 9")
        self.assertIn("maint", self.txlb("backend", "web/a", "maint").stdout)
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0)
        self.assertFalse(path.exists())

    def test_token(self) -> None:
        """Needed for the API, read anew by a reload, never shown; the command finds it by the configuration."""
        token = programs.folder(self) / "token"
        token.write_text("first\n")
        balancer = self.start_on_tcp(f", token_file: {token}")
        self.assertEqual(self.ask("GET", "/api/v1/state")[0], 401)
        self.assertEqual(self.ask("GET", "/ready")[0], 200)
        first, second = "Bearer first", "Bearer second"
        self.assertEqual(self.ask("GET", "/api/v1/state", Authorization=first)[0], 200)
        self.assertEqual(self.txlb("status").returncode, 0)
        token.write_text("second\n")
        self.assertEqual(self.ask("POST", "/api/v1/reload", Authorization=first)[0], 200)
        self.assertEqual(self.ask("GET", "/api/v1/state", Authorization=first)[0], 401)
        self.assertEqual(self.ask("GET", "/api/v1/state", Authorization=second)[0], 200)
        done = programs.run(
            [sys.executable, "-m", "txlb", "status", "--admin", f"http://127.0.0.1:{self.port}"],
            check=False, cwd=str(programs.ROOT),
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr.count("\n")), (78, 1))
        self.assertIn("a token is needed", done.stderr)
        self.assertNotIn("second", balancer.output())

    def test_other_sites(self) -> None:
        """A name that was rebound and a page of another origin are refused; hosts extends the names."""
        self.start_on_tcp(", hosts: [lb.example]")
        for headers, wanted in [
            ({"Host": f"evil.example:{self.port}"}, 403),
            ({"Host": "lb.example"}, 200),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": f"http://127.0.0.1:{self.port}"}, 200),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
        ]:
            self.assertEqual(self.ask("GET", "/api/v1/state", **headers)[0], wanted, headers)

    def test_tls(self) -> None:
        """Over TLS, to a client that names protocols as browsers do; refusals and streams work there too."""
        folder = programs.folder(self)
        key, certificate = folder / "key.pem", folder / "cert.pem"
        openssl, curl = programs.find("openssl"), programs.find("curl")
        programs.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                      "-keyout", str(key), "-out", str(certificate)])  # fmt: skip
        self.start(f'{{listen: "ssl:{self.port}:interface=127.0.0.1:privateKey={key}:certKey={certificate}"}}')
        programs.wait_until(lambda: programs.listening(self.port), "the admin")
        ask = [curl, "-sk", "--http1.1", "-w", " %{http_code}", f"https://localhost:{self.port}/api/v1/state"]
        self.assertTrue(programs.run(ask).stdout.endswith(" 200"))
        self.assertTrue(programs.run([word for word in ask if word != "--http1.1"]).stdout.endswith(" 200"))
        large = folder / "large"
        large.write_bytes(b" " * 200_000)
        head = ["-H", "Content-Type: application/json", "-H", "Expect:", "--data-binary", f"@{large}"]
        self.assertIn(" 413", programs.run([*ask, *head], check=False).stdout)
        stream = [*ask[:-1], "--max-time", "2", f"https://localhost:{self.port}/api/v1/events"]
        self.assertIn("event: state", programs.run(stream, check=False).stdout)

    def test_off(self) -> None:
        """Without an admin in the configuration the commands say so."""
        self.file = programs.folder(self) / "config.yaml"
        self.file.write_text(self.config(None))
        done = self.txlb("status", check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (78, 1))
        self.file.write_text(self.config(self.on_tcp(self.port)))
        done = self.txlb("status", check=False)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (69, 1))


class LifeTests(Case):
    """Starting, reloading, draining."""

    def test_port_in_use(self) -> None:
        """One line and exit code 69, and no listener was opened for a moment."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port))
            taken.listen()
            file = programs.folder(self) / "config.yaml"
            file.write_text(self.config(self.on_tcp(self.port)))
            program = programs.twist(self, "txlb", "--config", str(file))
            self.assertEqual(program.wait(), 69)
        said = [line for line in program.output().splitlines() if line.startswith("txlb: ")]
        self.assertEqual(said, [f"txlb: cannot listen on tcp:{self.port}:interface=127.0.0.1: Address already in use"])
        self.assertNotIn(f"starting on {self.ports['web']}", program.output())

    def test_kept_and_moved(self) -> None:
        """The same address stays open over a reload, connections and all; a changed one moves; none is closed."""
        balancer = self.start_on_tcp()
        kept = self.asking()
        self.assertEqual(kept.ask("POST", "/api/v1/reload")[0], 200)
        self.assertEqual(kept.ask("GET", "/api/v1/state")[0], 200)
        other = programs.free_port()
        self.file.write_text(self.config(self.on_tcp(other)))
        self.assertEqual(kept.ask("POST", "/api/v1/reload")[0], 200)
        self.assertEqual(self.ask("GET", "/health", where=other)[0], 200)
        programs.wait_until(lambda: not programs.listening(self.port), "the old port to close")
        self.file.write_text(self.config(None))
        balancer.signal(signal.SIGHUP)
        programs.wait_until(lambda: not programs.listening(other), "the admin to be off")
        self.assertTrue(balancer.alive())
        self.file.write_text(self.config(self.on_tcp(self.port)))
        balancer.signal(signal.SIGHUP)
        programs.wait_until(lambda: programs.listening(self.port), "the admin to be back")
        self.assertEqual(self.ask("GET", "/api/v1/state")[0], 200)

    def test_reload_refused(self) -> None:
        """A wrong file and a port that cannot be had: the reason is answered, and all stays as it was."""
        self.start_on_tcp()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.file.write_text(self.config(self.on_tcp(taken.getsockname()[1])))
            status, said = self.ask("POST", "/api/v1/reload")
        self.assertEqual(status, 409)
        self.assertIn("Address already in use", said["error"])
        self.file.write_text(self.config(self.on_tcp(self.port)) + "nonsense: 1\n")
        status, said = self.ask("POST", "/api/v1/reload")
        self.assertEqual(status, 422)
        self.assertIn("nonsense", said["problems"][0])
        self.assertEqual(self.ask("GET", "/ready")[0], 200)

    def test_drain(self) -> None:
        """While the last connections end the admin is there and says that it is not ready."""
        balancer = self.start_on_tcp()
        with socket.create_connection(("127.0.0.1", self.ports["web"]), PATIENCE) as client:
            client.sendall(b"hello")
            self.assertEqual(client.recv(5), b"hello")
            balancer.signal(signal.SIGTERM)
            programs.wait_until(lambda: self.ask("GET", "/ready")[0] == 503, "the drain to show")
            self.assertEqual(self.ask("GET", "/ready")[1]["reason"], "draining")
            self.assertEqual(self.ask("GET", "/health")[0], 200)
            self.assertEqual(self.ask("GET", "/api/v1/state")[1]["draining"], True)
        self.assertEqual(balancer.wait(), 0)


class BoundTests(TestCase):
    """Clients that mean no good, against an admin in this process, whose patience is short. Clients are in a thread."""

    timeout = 60

    async def setUp(self) -> None:
        balancer = Balancer(reactor)
        self.addCleanup(balancer.stop)
        clock = SteadyClock(reactor)
        self.admin = Admin(LocalControl(balancer, balancer.drain), reactor, clock, pages={})
        self.port = AdminPort(reactor, lambda: self.admin)
        self.spec = AdminSpec("tcp:0:interface=127.0.0.1")
        await self.port.bind(self.spec)
        await self.port.become(self.spec)
        self.addCleanup(self.port.stop)
        self.number = self.port.addresses()[0].port  # type: ignore[attr-defined]

    def exchange(self, *parts: bytes) -> bytes:
        """Send these, and read to the end."""
        with socket.create_connection(("127.0.0.1", self.number), PATIENCE) as client:
            for part in parts:
                client.sendall(part)
            received = b""
            while data := client.recv(65536):
                received += data
            return received

    async def test_slow_request(self) -> None:
        """One that is never complete is answered with 408 and closed, while others are served."""
        with patch.object(bounds, "REQUEST_TIME", 0.3):
            answer = await deferToThread(self.exchange, b"GET / HTTP/1.1\r\nHost: ")
        self.assertTrue(answer.startswith(b"HTTP/1.1 408 "), answer)

    async def test_large_body(self) -> None:
        """The refusal arrives although most of the body was never read."""
        head = b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
        answer = await deferToThread(self.exchange, head, b" " * 200_000)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 "), answer)

    async def test_answer_never_taken(self) -> None:
        """Who asks and asks without reading is dropped, and the balancer holds no more than the kernel does."""
        client = socket.create_connection(("127.0.0.1", self.number), PATIENCE)
        self.addCleanup(client.close)

        def flood() -> None:
            data = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
            with self.assertRaises(ConnectionError):
                while True:  # what comes while it closes is read and thrown away, which can be much
                    client.sendall(data)

        with patch.object(bounds, "REQUEST_TIME", 0.5), patch.object(bounds, "CLOSING_TIME", 0.2):
            await deferToThread(flood)
        self.assertEqual(self.admin.factory.channels, {})

    async def test_many_idle(self) -> None:
        """More idle connections than there are places: who asks is served."""

        def crowd() -> bytes:
            idle = [
                socket.create_connection(("127.0.0.1", self.number), PATIENCE)
                for _ in range(bounds.MOST_CONNECTIONS + 20)
            ]
            try:
                return self.exchange(b"GET /health HTTP/1.0\r\n\r\n")
            finally:
                for client in idle:
                    client.close()

        answer = await deferToThread(crowd)
        self.assertTrue(answer.startswith((b"HTTP/1.0 200 ", b"HTTP/1.1 200 ")), answer)

    async def test_cannot_bind(self) -> None:
        """A port in use fails the binding and changes nothing."""
        with self.assertRaises(PortUnavailable):
            await self.port.bind(AdminSpec(f"tcp:{self.number}:interface=127.0.0.1"))
        self.assertEqual(len(self.port.addresses()), 1)
        answer = await deferToThread(self.exchange, b"GET /health HTTP/1.0\r\n\r\n")
        self.assertIn(b'{"alive": true}', answer)
