"""More than there is room for: descriptors, ports, memory, patience. On real processes with real limits, both engines.

The figures that are printed are those of docs/limits.md.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import time
from typing import ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration import programs, wire
from tests.integration.crowd import Server, ask_all, busy, close_all, connect_all, cpu_seconds, idle
from tests.integration.streams import read_to_end

CONFIG = """
listeners:
  web:
    listen: tcp:{port}:interface=127.0.0.1
    pool: servers
    engine: {engine}
    timeouts: {{linger: 1s}}
pools:
  servers:
    outliers: {{failures: 1}}
    retries: 0
    backends:
{backends}
drain_timeout: 100ms
"""


class Overload:
    """One balancer in a process of its own, and the means to crowd it. `engine` is set by the classes at the end."""

    engine: ClassVar[str]
    timeout = 120

    def server(self, endless: bool = False) -> Server:
        """A backend."""
        server = Server(endless)
        self.addCleanup(server.stop)
        return server

    def balance(self, *backends: str, descriptors: int = 20000) -> tuple[programs.Program, int]:
        """A balancer that may open so many files, in front of these client endpoint strings; and its port."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        port = programs.free_port()
        lines = "\n".join(f"      - {connect}" for connect in backends)
        file = programs.folder(self) / "config.yaml"
        file.write_text(CONFIG.format(port=port, engine=self.engine, backends=lines))
        command = " ".join(programs.twist_command("txlb", "--config", str(file)))
        shell = ["/bin/sh", "-c", f"ulimit -n {min(hard, descriptors)}; exec {command}"]
        return programs.start(self, shell, [port], environment={"PYTHONPATH": str(programs.ROOT)}), port

    def crowd(self, port: int, count: int) -> list[socket.socket]:
        """So many clients, closed when the test ends."""
        clients = connect_all(port, count)
        self.addCleanup(close_all, clients)
        return clients

    def report(self, **figures: object) -> None:
        """Print what was measured."""
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
        print(f"\n{self.id().rpartition('.')[2]} ({self.engine}): {words}")

    def test_more_clients_than_descriptors(self) -> None:
        """With descriptors for 28 connections, 100 clients are served 28 at a time: the others wait unharmed and
        without cost, and get their turn as soon as there is room."""
        backend = self.server()
        balancer, port = self.balance(f"tcp:127.0.0.1:{backend.port}", descriptors=120)
        clients = self.crowd(port, 100)
        answers = ask_all(clients, 10, enough=lambda answers: len(answers.seconds) == 28)
        self.assertEqual((28, 0), (len(answers.seconds), len(answers.ended)))
        cpu = idle(balancer.pid)
        waiting, waited = [client for client in clients if client not in answers.seconds], []
        served = list(answers.seconds)
        while waiting:
            close_all(served)
            turn = min(28, len(waiting))
            answers = ask_all(waiting, 10, b"", lambda answers, turn=turn: len(answers.seconds) == turn)
            self.assertEqual(set(), answers.ended)
            waited.append(answers.slowest)
            served = list(answers.seconds)
            waiting = [client for client in waiting if client not in answers.seconds]
        self.report(cpu_while_full=f"{cpu:.1%}", seconds_until_served=[f"{seconds:.3f}" for seconds in waited])
        self.assertLess(max(waited), 1.0)
        self.assertNotIn("Traceback", balancer.output())

    def test_no_descriptors(self) -> None:
        """When the system denies more descriptors than were expected, accepting rests: nobody is sent away, nobody else
        suffers, the CPU idles, one log line a second says so, and a second after there are some it goes on."""
        backend = self.server()
        balancer, port = self.balance(f"tcp:127.0.0.1:{backend.port}")
        before = self.crowd(port, 10)
        self.assertEqual(10, len(ask_all(before, 10).seconds))
        resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (wire.descriptors(balancer.pid), 20000))
        clients = self.crowd(port, 50)
        balancer.wait_for_output("Cannot accept on")
        refused = ask_all(clients, 0.5)
        self.assertEqual((0, 0), (len(refused.seconds), len(refused.ended)))
        lines, began = balancer.output().count("\n"), time.monotonic()
        cpu = busy(balancer.pid, 3.0)
        lines = balancer.output().count("\n") - lines
        self.assertEqual(10, len(ask_all(before, 10).seconds))
        log_rate = lines / (time.monotonic() - began)
        resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (20000, 20000))
        answers = ask_all(clients, 10, b"")
        self.report(cpu=f"{cpu:.1%}", lines_a_second=f"{log_rate:.2f}", recovery_seconds=f"{answers.slowest:.2f}")
        self.assertEqual((50, 0), (len(answers.seconds), len(answers.ended)))
        self.assertLess(cpu, 0.1)
        self.assertLess(log_rate, 1.5)
        self.assertLess(answers.slowest, 1.5)
        self.assertNotIn("Traceback", balancer.output())

    def test_no_descriptor_for_the_backend(self) -> None:
        """With a descriptor for the client and none for the backend that client is reset, and the backend is not to
        blame: though one failure would eject it, it serves on."""
        backends = [self.server(), self.server()]
        balancer, port = self.balance(*(f"tcp:127.0.0.1:{backend.port}" for backend in backends))
        self.assertEqual(4, len(ask_all(self.crowd(port, 4), 10).seconds))
        for _ in range(5):
            limit = wire.descriptors(balancer.pid) + 1
            resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (limit, 20000))
            (client,) = self.crowd(port, 1)
            self.assertEqual({client}, ask_all([client], 10).ended)
            resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (20000, 20000))
        balancer.wait_for_output("(?s)" + r"local-error.*Too many open files.*" * 5)
        accepted = [backend.accepted for backend in backends]
        self.assertEqual(10, len(ask_all(self.crowd(port, 10), 10).seconds))
        grown = [backend.accepted - before for backend, before in zip(backends, accepted, strict=True)]
        self.assertEqual([5, 5], grown)

    def test_no_ephemeral_port(self) -> None:
        """With no port left to dial from, a client is reset and the backend is not to blame; with ports, all is well
        again. In a network of its own, whose range of ports is four."""
        if os.geteuid() or not shutil.which("unshare") or not shutil.which("ip"):
            raise SkipTest("needs root, unshare and ip")
        setup = "ip link set lo up && echo 50000 50003 > /proc/sys/net/ipv4/ip_local_port_range"
        echo = programs.free_port()
        port = programs.free_port()
        file = programs.folder(self) / "config.yaml"
        text = CONFIG.format(port=port, engine=self.engine, backends=f"      - tcp:127.0.0.1:{echo}")
        file.write_text(text.replace("tcp:", "unix:", 1).replace(f"{port}:interface=127.0.0.1", f"{file}.sock"))
        twist = " ".join(programs.twist_command("txlb", "--config", str(file)))
        txecho = " ".join(programs.twist_command("txecho", "--port", str(echo)))
        started = programs.start(
            self,
            ["unshare", "--net", "/bin/sh", "-c", f"{setup} && ({txecho} & exec {twist})"],
            environment={"PYTHONPATH": str(programs.ROOT)},
        )
        started.wait_for_output("web: listening")
        started.wait_for_output(str(echo))
        place = wire.Place("unix", f"{file}.sock")
        self.addCleanup(wire.close_own)
        clients = []
        for _ in range(4):
            clients.append(wire.dial(place))
            clients[-1].sendall(b"hello")
            self.assertEqual(b"hello", wire.read_exactly(clients[-1], 5))
        for _ in range(3):
            self.assertEqual(0, read_to_end(wire.dial(place)).count)
        started.wait_for_output("(?s)" + r"local-error.*(Cannot assign requested address).*" * 3)
        wire.reset(clients.pop())
        for _ in range(2):
            programs.wait_until(lambda: self.echoes(place), "a port to be free again")
        self.assertNotIn("refused", started.output())

    def echoes(self, place: wire.Place) -> bool:
        """Whether a new client is served; it leaves with a reset, which holds no port."""
        client = wire.dial(place)
        try:
            client.sendall(b"again")
            return client.recv(5) == b"again"
        except OSError:
            return False
        finally:
            client.close()

    def test_burst(self) -> None:
        """2,000 clients that dial in the same moment are all served."""
        backend = self.server()
        balancer, port = self.balance(f"tcp:127.0.0.1:{backend.port}")
        began = time.monotonic()
        clients = self.crowd(port, 2000)
        answers = ask_all(clients, 30)
        took = time.monotonic() - began
        self.report(seconds_for_all=f"{took:.2f}", balancer_cpu=f"{cpu_seconds(balancer.pid):.2f} s")
        self.assertEqual((2000, 0), (len(answers.seconds), len(answers.ended)))
        self.assertNotIn("Traceback", balancer.output())

    def test_stalled_readers(self) -> None:
        """1,000 clients that read nothing from a backend that sends without end: bounded memory for each, an idle
        process, and others are served promptly."""
        endless = self.server(endless=True)
        balancer, port = self.balance(f"tcp:127.0.0.1:{endless.port}")
        before = wire.resident(balancer.pid)
        self.crowd(port, 1000)
        programs.wait_until(lambda: endless.accepted == 1000, "all to be linked")
        cpu, grown = idle(balancer.pid), wire.resident(balancer.pid) - before
        (client,) = self.crowd(port, 1)
        prompt = ask_all([client], 10, b"x")
        self.report(
            kb_per_pair=f"{grown / 1000 / 1024:.1f}", cpu=f"{cpu:.1%}", another_client_s=f"{prompt.slowest:.3f}"
        )
        self.assertLess(grown / 1000, {"epoll": 80, "reactor": 160}[self.engine] * 1024)
        self.assertLess(cpu, 0.1)
        self.assertLess(prompt.slowest, 1.0)

    def test_silent_clients(self) -> None:
        """2,000 clients that connect and say nothing: little memory for each, an idle process, others unharmed."""
        backend = self.server()
        balancer, port = self.balance(f"tcp:127.0.0.1:{backend.port}")
        before = wire.resident(balancer.pid)
        self.crowd(port, 2000)
        programs.wait_until(lambda: backend.accepted == 2000, "all to be linked")
        cpu, grown = idle(balancer.pid), wire.resident(balancer.pid) - before
        prompt = ask_all(self.crowd(port, 20), 10)
        self.report(
            kb_per_pair=f"{grown / 2000 / 1024:.1f}", cpu=f"{cpu:.1%}", another_client_s=f"{prompt.slowest:.3f}"
        )
        self.assertLess(grown / 2000, 12 * 1024)
        self.assertEqual(20, len(prompt.seconds))
        self.assertLess(prompt.slowest, 1.0)


class EpollTests(Overload, SynchronousTestCase):
    """The epoll engine."""

    engine = "epoll"


class ReactorTests(Overload, SynchronousTestCase):
    """The reactor engine."""

    engine = "reactor"
