"""A reload that says something else of an address that is listened on already."""

from __future__ import annotations

import signal
import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """
workers: {workers}
listeners:
  web: {{listen: ['{web}'], pool: echoes}}
pools:
  echoes: {{backends: ['tcp:127.0.0.1:{echo}']}}
echo: ['tcp:{echo}:interface=127.0.0.1'{more}]
"""


class ListenStrings(SynchronousTestCase):
    """With one process, and with two workers."""

    workers = 1

    def ask(self, family: int, address: object) -> bytes:
        """What an echo comes to."""
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(20)
            client.connect(address)
            client.sendall(b"hello")
            return client.recv(5)

    def test_another_string_for_the_same_address(self) -> None:
        """Another backlog, mode or spelling, or an echo server instead of a listener: who comes after the reload
        is served, a UNIX socket's file stays, and it goes at the end."""
        port, echo, folder = programs.free_port(), programs.free_port(), programs.folder(self)
        path, file = folder / "lb.sock", folder / "config.yaml"

        def write(web: str, more: str = "") -> None:
            more = f", '{more}'" if more else ""
            file.write_text(CONFIG.format(workers=self.workers, web=web, echo=echo, more=more))

        tcp, unix = f"tcp:{port}:interface=127.0.0.1", f"unix:{path}"
        write(f"{tcp}', '{unix}")
        balancer = programs.twist(self, "txlb", "--config", str(file), ports=[port])
        self.assertEqual(self.ask(socket.AF_INET, ("127.0.0.1", port)), b"hello")  # a signal before that would end it
        strings = (
            (f"{tcp}:backlog=77", f"{unix}:mode=600"),
            (f"tcp:interface=127.0.0.1:port={port}", f"{unix}:backlog=9"),
        )
        for number, (one, other) in enumerate(strings, 1):
            write(f"{one}', '{other}")
            balancer.signal(signal.SIGHUP)
            balancer.wait_for_output(r"(?s)" + r"Reloaded .*" * number)
            for _ in range(4):
                self.assertEqual(self.ask(socket.AF_INET, ("127.0.0.1", port)), b"hello")
                self.assertEqual(self.ask(socket.AF_UNIX, str(path)), b"hello")
            if number == 1:
                self.assertEqual(path.stat().st_mode & 0o777, 0o600)
                self.assertIn(f" 77 127.0.0.1:{port} ", " ".join(self.listening(port).split()) + " ")
        write(f"{unix}", f"{tcp}:backlog=5")
        balancer.signal(signal.SIGHUP)
        balancer.wait_for_output(r"(?s)" + r"Reloaded .*" * 3)
        self.assertEqual(self.ask(socket.AF_INET, ("127.0.0.1", port)), b"hello")
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0)
        self.assertFalse(path.exists())
        self.assertNotIn("Traceback", balancer.output())

    def listening(self, port: int) -> str:
        """What the system says of those who listen there."""
        return subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True).stdout


class WorkersListenStrings(ListenStrings):
    """Two workers."""

    workers = 2
