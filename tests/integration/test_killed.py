"""Real servers are killed and stopped in the middle of traffic. Whoever was not on them sees nothing, and checks see
what can be seen: a stopped process still accepts, because the kernel does, so `tcp` is content with it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """
listeners:
  web: {{listen: "tcp:{port}:interface=127.0.0.1", pool: servers, engine: {engine}}}
pools:
  servers:
    strategy: least-connections
    slow_start: 0
    close_when_down: true
    backends:
{backends}
{health}
"""

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "nginx at {port}"; }} }}
}}
"""

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PING = b"*1\r\n$4\r\nPING\r\n"


class Caller(threading.Thread):
    """A client that asks on one connection again and again; a new one where that ended. `gaps` are the times at which a
    connection ended under it, `failed` says from when to when a new connection was tried that brought no
    answer, and why."""

    def __init__(self, port: int, question: bytes, marker: bytes) -> None:
        super().__init__(daemon=True)
        self.port, self.question, self.marker = port, question, marker
        self.answers = 0
        self.gaps: list[float] = []
        self.failed: list[tuple[float, float, str]] = []
        self.stopping = False
        self.start()

    def run(self) -> None:
        while not self.stopping:
            begun = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=15) as sock:
                    self._ask_on(sock, begun)
            except OSError as error:
                self.failed.append((begun, time.monotonic(), repr(error)))

    def _ask_on(self, sock: socket.socket, begun: float) -> None:
        asked = 0
        while not self.stopping:
            try:
                sock.sendall(self.question)
                got = b""
                while self.marker not in got:
                    chunk = sock.recv(4096)
                    if not chunk:
                        raise ConnectionResetError("the end")
                    got += chunk
            except TimeoutError:
                raise
            except OSError as error:
                self.gaps.append(time.monotonic())
                if not asked:
                    self.failed.append((begun, self.gaps[-1], f"a new connection: {error!r}"))
                return
            asked += 1
            self.answers += 1

    def stop(self) -> None:
        """Come to an end."""
        self.stopping = True
        self.join(20)


class Killed:
    """With one engine; `engine` is set by the classes at the end."""

    engine: ClassVar[str]
    timeout = 120

    def setUp(self) -> None:
        self.deaths: list[tuple[float, float]] = []

    def nginx(self) -> tuple[programs.Program, int]:
        """A web server."""
        folder, port = programs.folder(self), programs.free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
        command = [programs.find("nginx"), "-e", "/dev/null", "-c", str(folder / "nginx.conf")]
        return programs.start(self, command, [port]), port

    def redis(self, port: int = 0) -> tuple[programs.Program, int]:
        """A database."""
        port = port or programs.free_port()
        command = [programs.find("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        return programs.start(self, command, [port]), port

    def balance(self, ports: list[int], health: str = "") -> tuple[programs.Program, int]:
        """A balancer in front of these."""
        port = programs.free_port()
        backends = "\n".join(f"      - {{name: s{n}, connect: 'tcp:127.0.0.1:{p}'}}" for n, p in enumerate(ports))
        text = CONFIG.format(port=port, engine=self.engine, backends=backends, health=health)
        return programs.start_balancer(self, text), port

    def callers(self, count: int, port: int, question: bytes, marker: bytes) -> list[Caller]:
        """Clients that ask, until the test ends; returns when each has had an answer."""
        callers = [Caller(port, question, marker) for _ in range(count)]
        for caller in callers:
            self.addCleanup(caller.stop)
        self.answered(callers, 1)
        return callers

    def answered(self, callers: list[Caller], more: int) -> None:
        """Wait until each has had so many more answers."""
        wanted = [caller.answers + more for caller in callers]
        programs.wait_until(
            lambda: all(caller.answers >= want for caller, want in zip(callers, wanted, strict=True)),
            f"{more} more answers for each",
        )

    def kill(self, program: programs.Program, port: int) -> None:
        """kill -9, the workers too, and wait until the last of them is dead."""
        begun = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        programs.wait_until(lambda: not programs.listening(port), f"port {port} to be free")
        self.deaths.append((begun, time.monotonic()))

    def unexplained(self, callers: list[Caller]) -> list[str]:
        """Failures of new connections that nobody's death explains. While a server dies the kernel goes on accepting for
        it, and then resets whom it accepted; such a client was on the server that died."""
        return [
            reason
            for caller in callers
            for begun, ended, reason in caller.failed
            if not any(begun <= dead and ended >= killed for killed, dead in self.deaths)
        ]

    def test_kill_nginx(self) -> None:
        """Of three web servers one is killed: a third of the clients lose their connection, once, and are served at once
        on a new one; the others see nothing."""
        servers = [self.nginx() for _ in range(3)]
        balancer, port = self.balance([port for _, port in servers])
        callers = self.callers(9, port, REQUEST, b"nginx at")
        self.answered(callers, 20)
        self.kill(*servers[1])
        self.answered(callers, 200)
        for caller in callers:
            caller.stop()
        self.assertEqual([], self.unexplained(callers))
        self.assertEqual([False] * 6 + [True] * 3, sorted(bool(caller.gaps) for caller in callers))
        self.assertNotIn("Traceback", balancer.output())

    def test_kill_and_restart_redis(self) -> None:
        """A database is killed again and again and comes back each time: its clients lose their connection, the others
        nothing; its check sees it go and come."""
        servers = [self.redis() for _ in range(3)]
        health = (
            "    health: {check: send-expect, send: 'PING\\r\\n', expect: '+PONG', interval: 100ms, rise: 1, fall: 1}"
        )
        balancer, port = self.balance([port for _, port in servers], health)
        callers = self.callers(9, port, PING, b"+PONG")
        for count in range(1, 4):
            before = [len(caller.gaps) for caller in callers]
            self.kill(*servers[0])
            balancer.wait_for_output("(?s)" + r"s0 is down.*" * count)
            self.answered(callers, 50)
            lost = [len(caller.gaps) > was for caller, was in zip(callers, before, strict=True)]
            self.assertLessEqual(sum(lost), 5)
            servers[0] = self.redis(servers[0][1])
            balancer.wait_for_output("(?s)" + r"s0 is down.*s0 is up.*" * count)
            self.answered(callers, 50)
        for caller in callers:
            caller.stop()
        self.assertEqual([], self.unexplained(callers))
        self.assertNotIn("Traceback", balancer.output())

    def stopped(self, program: programs.Program) -> None:
        """kill -STOP until the test ends."""
        os.killpg(program.pid, signal.SIGSTOP)
        self.addCleanup(self.go_on, program)

    def go_on(self, program: programs.Program) -> None:
        """kill -CONT."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGCONT)

    def test_stop_seen_by_http(self) -> None:
        """`http` sees that a stopped web server does not answer; its clients are freed by `close_when_down`, go to the
        other, and come back when it goes on."""
        servers = [self.nginx() for _ in range(2)]
        health = "    health: {check: http, interval: 100ms, timeout: 300ms, rise: 1, fall: 2}"
        balancer, port = self.balance([port for _, port in servers], health)
        balancer.wait_for_output("(?s)s. is up.*s. is up")
        callers = self.callers(6, port, REQUEST, b"nginx at")
        self.stopped(servers[0][0])
        balancer.wait_for_output("s0 is down.*timed out")
        self.answered(callers, 50)
        self.go_on(servers[0][0])
        balancer.wait_for_output("(?s)s0 is down.*s0 is up")
        for caller in callers:
            caller.stop()
        self.assertEqual([0] * 3 + [1] * 3, sorted(len(caller.gaps) for caller in callers))
        self.assertEqual([], self.unexplained(callers))

    def test_stop_seen_by_send_expect_and_not_by_tcp(self) -> None:
        """Of one stopped database `send-expect` says that it is down, and `tcp` that it is up."""
        server, redis_port = self.redis()
        send = "    health: {check: send-expect, send: 'PING\\r\\n', expect: '+PONG', interval: 100ms, timeout: 300ms}"
        asking, _ = self.balance([redis_port], send)
        dialling, _ = self.balance([redis_port], "    health: {check: tcp, interval: 100ms, timeout: 300ms, fall: 1}")
        asking.wait_for_output("s0 is up")
        dialling.wait_for_output("s0 is up")
        self.stopped(server)
        asking.wait_for_output("s0 is down.*timed out")
        self.assertNotIn("down", dialling.output())
        self.kill(server, redis_port)
        dialling.wait_for_output("s0 is down.*refused")


class EpollKilledTests(Killed, SynchronousTestCase):
    """The epoll engine."""

    engine = "epoll"


class ReactorKilledTests(Killed, SynchronousTestCase):
    """The reactor engine."""

    engine = "reactor"
