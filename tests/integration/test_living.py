"""Living with `twist txlb`: signals, reloads, exit codes and limits, on a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """
listeners:
  web:
    listen: tcp:{web}:interface=127.0.0.1
    pool: echoes
    engine: {engine}
pools:
  echoes:
    strategy: {strategy}
    backends:
      - tcp:127.0.0.1:{echo}
echo:
  - tcp:{echo}:interface=127.0.0.1
drain_timeout: {drain}
"""


class Living(SynchronousTestCase):
    """One balancer with an echo server of its own, and a file that can be changed."""

    def setUp(self) -> None:
        self.values = {
            "web": programs.free_port(),
            "echo": programs.free_port(),
            "engine": "auto",
            "strategy": "round-robin",
            "drain": "10s",
        }
        self.file = programs.folder(self) / "config.yaml"

    def start(self) -> programs.Program:
        """The balancer, once it listens."""
        self.write()
        return programs.twist(self, "txlb", "--config", str(self.file), ports=[self.values["web"]])

    def write(self, **changes: object) -> None:
        """The file with these values changed."""
        self.values.update(changes)
        self.file.write_text(CONFIG.format(**self.values))

    def reload(self, balancer: programs.Program, times: int = 1) -> None:
        """Signal, and wait until it said so."""
        balancer.signal(signal.SIGHUP)
        balancer.wait_for_output(r"(?s)" + r"Reloaded .*" * times)

    def connect(self) -> socket.socket:
        """A client."""
        client = socket.create_connection(("127.0.0.1", self.values["web"]), timeout=10)
        self.addCleanup(client.close)
        return client

    def echo(self, client: socket.socket, data: bytes = b"hello") -> None:
        """What is sent comes back."""
        client.sendall(data)
        received = b""
        while len(received) < len(data):
            chunk = client.recv(65536)
            self.assertTrue(chunk, "the connection ended")
            received += chunk
        self.assertEqual(received, data)

    def test_reload_keeps_connections(self) -> None:
        """A reload with another strategy and another engine: the port stays, the open connection goes on, and so do new
        ones."""
        balancer = self.start()
        before = self.connect()
        self.echo(before)
        self.write(strategy="least-connections", engine="reactor")
        self.reload(balancer)
        self.echo(before)
        self.echo(self.connect())
        self.write(engine="auto")
        self.reload(balancer, 2)
        self.echo(before)
        self.echo(self.connect())

    def test_reload_moves_the_port(self) -> None:
        """A listener that moves serves at its new address; what was open at the old one goes on."""
        balancer = self.start()
        before = self.connect()
        self.echo(before)
        old = self.values["web"]
        self.write(web=programs.free_port())
        self.reload(balancer)
        programs.wait_until(lambda: not programs.listening(old), "the old port to be closed")
        self.echo(self.connect())
        self.echo(before)

    def test_invalid_file_changes_nothing(self) -> None:
        """A file with an error is refused with its line, and the old configuration serves on."""
        balancer = self.start()
        self.write(strategy="fastest-first")
        balancer.signal(signal.SIGHUP)
        balancer.wait_for_output(r"Not reloaded: .*config.yaml:9:5: pools.echoes.strategy: unknown strategy")
        self.echo(self.connect())

    def test_taken_port_changes_nothing(self) -> None:
        """A reload that needs a port that somebody else has is refused in one line."""
        balancer = self.start()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            old = self.values["web"]
            self.write(web=other.getsockname()[1])
            balancer.signal(signal.SIGHUP)
            balancer.wait_for_output(
                r"Not reloaded: cannot listen on tcp:\d+:interface=127.0.0.1: Address already in use"
            )
        self.values["web"] = old
        self.echo(self.connect())

    def test_reloads_under_traffic(self) -> None:
        """A hundred reloads while clients come and go: none fails."""
        balancer = self.start()
        stop, failures, done = threading.Event(), [], []

        def traffic() -> None:
            while not stop.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", self.values["web"]), timeout=10) as client:
                        client.sendall(b"x" * 100)
                        client.shutdown(socket.SHUT_WR)
                        received = b""
                        while chunk := client.recv(4096):
                            received += chunk
                    done.append(len(received))
                except OSError as error:
                    failures.append(error)

        clients = [threading.Thread(target=traffic) for _ in range(4)]
        for client in clients:
            client.start()
        try:
            for count in range(100):
                self.write(strategy=["round-robin", "least-connections", "random"][count % 3])
                balancer.signal(signal.SIGHUP)
                programs.wait_until(lambda count=count: len(done) > count, "traffic between reloads")
        finally:
            stop.set()
            for client in clients:
                client.join()
        self.assertEqual(failures, [])
        self.assertEqual(set(done), {100})
        self.reload(balancer)

    def test_drain(self) -> None:
        """SIGTERM: no new clients, the open connection runs to its end, exit 0."""
        balancer = self.start()
        client = self.connect()
        self.echo(client)
        balancer.signal(signal.SIGTERM)
        programs.wait_until(lambda: not programs.listening(self.values["web"]), "the port to be closed")
        self.echo(client, b"still here")
        client.close()
        self.assertEqual(balancer.wait(), 0)

    def test_drain_timeout(self) -> None:
        """What has not ended by `drain_timeout` is reset, and the exit code is 0 all the same."""
        self.values["drain"] = "200ms"
        balancer = self.start()
        client = self.connect()
        self.echo(client)
        balancer.signal(signal.SIGINT)
        self.assertRaises(ConnectionResetError, client.recv, 1)
        self.assertEqual(balancer.wait(), 0)
        self.assertIn("drained", balancer.output())

    def test_second_signal(self) -> None:
        """A second SIGTERM ends it at once with 128 and its number."""
        balancer = self.start()
        client = self.connect()
        self.echo(client)
        balancer.signal(signal.SIGTERM)
        balancer.wait_for_output("Draining 1 open connection,")
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 128 + signal.SIGTERM)

    def test_no_unhandled_errors(self) -> None:
        """A whole life leaves no traceback in the log."""
        balancer = self.start()
        clients = [self.connect() for _ in range(5)]
        for client in clients:
            self.echo(client)
        self.reload(balancer)
        balancer.signal(signal.SIGTERM)
        for client in clients:
            client.close()
        self.assertEqual(balancer.wait(), 0)
        self.assertNotIn("Traceback", balancer.output())
        self.assertNotIn("Unhandled", balancer.output())


class Starting(SynchronousTestCase):
    """What a start refuses, and says."""

    def run_with(self, config: str, descriptors: int | None = None) -> subprocess.CompletedProcess[str]:
        """The finished process, under this open-file limit."""
        file = programs.folder(self) / "config.yaml"
        file.write_text(config)
        command = programs.twist_command("txlb", "--config", str(file))
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        return programs.run(command, check=False, env={**os.environ, "PYTHONPATH": str(programs.ROOT)}, cwd=file.parent)

    def test_too_few_descriptors(self) -> None:
        """One line, and 70, with one process as with several."""
        for workers in (1, 2):
            values = {"web": 0, "echo": programs.free_port(), "engine": "auto", "strategy": "random", "drain": "1s"}
            done = self.run_with(f"workers: {workers}\n" + CONFIG.format(**values), descriptors=60)
            self.assertEqual((done.returncode, done.stdout), (70, ""))
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("txlb: the open-file limit of 60 leaves no room for connections", done.stderr)

    def test_port_in_use(self) -> None:
        """One line, and 69."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            values = {"web": port, "echo": programs.free_port(), "engine": "auto", "strategy": "random", "drain": "1s"}
            done = self.run_with(CONFIG.format(**values))
        self.assertEqual(done.returncode, 69)
        self.assertEqual(
            done.stderr.strip(), f"txlb: cannot listen on tcp:{port}:interface=127.0.0.1: Address already in use"
        )

    def test_bad_config(self) -> None:
        """A line for each error, nothing else, and 78."""
        done = self.run_with("listeners:\n  web: {listen: tcp:99999, pool: nowhere}\npools: {}\n")
        self.assertEqual(done.returncode, 78)
        lines = done.stderr.strip().splitlines()
        self.assertGreaterEqual(len(lines), 2)
        self.assertTrue(all("config.yaml:" in line for line in lines), done.stderr)

    def test_no_file(self) -> None:
        """A file that is not there is a bad configuration too."""
        command = programs.twist_command("txlb", "--config", "/nonexistent/config.yaml")
        done = programs.run(command, check=False, env={**os.environ, "PYTHONPATH": str(programs.ROOT)})
        self.assertEqual((done.returncode, len(done.stderr.strip().splitlines())), (78, 1))

    def test_descriptor_limit_is_raised(self) -> None:
        """The soft limit on open files becomes the hard one."""
        port = programs.free_port()
        values = {"web": port, "echo": programs.free_port(), "engine": "auto", "strategy": "random", "drain": "1s"}
        file = programs.folder(self) / "config.yaml"
        file.write_text(CONFIG.format(**values))
        command = " ".join(programs.twist_command("txlb", "--config", str(file)))
        shell = ["/bin/sh", "-c", f"ulimit -Sn 200; ulimit -Hn 300; exec {command}"]
        balancer = programs.start(self, shell, [port], environment={"PYTHONPATH": str(programs.ROOT)})
        limits = Path(f"/proc/{balancer.pid}/limits").read_text()
        row = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        self.assertEqual(row.split()[3:5], ["300", "300"])
