"""A balancer of several worker processes for tests: its file, its processes, its clients and what its admin says."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """
workers: {workers}
listeners:
  web: {{listen: "{listen}", pool: echoes{listener}}}
pools:
  echoes:
    strategy: {strategy}
    backends: [{backends}]
{pool}
drain_timeout: 10s
admin: {{listen: "tcp:{admin}:interface=127.0.0.1"}}
"""


class CrewCase(SynchronousTestCase):
    """A balancer with workers, in front of echo servers that say their names first."""

    def setUp(self) -> None:
        self.place = programs.folder(self)
        self.file = self.place / "config.yaml"
        self.values: dict[str, Any] = {
            "workers": 2,
            "web": programs.free_port(),
            "admin": programs.free_port(),
            "strategy": "least-connections",
            "listener": "",
            "pool": "",
            "backends": "",
        }
        self.values["listen"] = f"tcp:{self.values['web']}:interface=127.0.0.1"

    def echoes(self, *names: str, **options: str) -> dict[str, programs.Program]:
        """Start an echo server for each name, and make them the backends."""
        ports = {name: programs.free_port() for name in names}
        more = [f"--{key}={value}" for key, value in options.items()]
        started = {
            name: programs.twist(self, "txecho", "--port", str(port), "--name", name, *more, ports=[port])
            for name, port in ports.items()
        }
        self.values["backends"] = ", ".join(
            f'{{name: {name}, connect: "tcp:127.0.0.1:{port}"}}' for name, port in ports.items()
        )
        return started

    def write(self, **changes: object) -> Path:
        """The file with these values changed."""
        self.values.update(changes)
        self.file.write_text(CONFIG.format(**self.values))
        return self.file

    def start(self, **changes: object) -> programs.Program:
        """The balancer, once all its workers are ready."""
        self.write(**changes)
        balancer = programs.twist(self, "txlb", "--config", str(self.file), ports=[self.values["admin"]])
        balancer.wait_for_output("web: listening")
        return balancer

    def workers(self, balancer: programs.Program) -> dict[int, int]:
        """The processes of the workers that are ready now, by number."""
        return {worker["number"]: worker["pid"] for worker in self.state()["workers"] if worker["ready"]}

    def state(self) -> dict[str, Any]:
        """What the admin says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.values['admin']}/api/v1/state", timeout=10) as answer:
            return dict(json.load(answer))

    def steer(self, backend: str, **change: object) -> None:
        """An operator's request about a backend, answered when it is done."""
        where = f"http://127.0.0.1:{self.values['admin']}/api/v1/pools/echoes/backends/{backend}"
        request = urllib.request.Request(where, json.dumps(change).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def client(self) -> socket.socket:
        """A connection to the balancer."""
        client = socket.create_connection(("127.0.0.1", self.values["web"]), timeout=20)
        self.addCleanup(client.close)
        return client

    def connected(self) -> tuple[socket.socket, str]:
        """A connection, and the name that the backend behind it said; the empty one where it was reset."""
        client = self.client()
        try:
            return client, client.makefile("r").readline().strip()
        except ConnectionError:
            return client, ""

    def echo(self, client: socket.socket, data: bytes = b"hello\n") -> bool:
        """Whether what is sent comes back."""
        try:
            client.sendall(data)
            received = b""
            while len(received) < len(data):
                chunk = client.recv(65536)
                if not chunk:
                    return False
                received += chunk
        except ConnectionError:
            return False
        return received == data

    def ended(self, pid: int) -> bool:
        """Whether that process is gone, or only waits for its parent to look."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] in "ZX"

    def assert_drains(self, balancer: programs.Program) -> None:
        """It ends with 0 at SIGTERM, with its workers, and met no error of its own."""
        pids = self.workers(balancer).values()
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0, balancer.output())
        self.assertTrue(all(self.ended(pid) for pid in pids), balancer.output())
        self.assertNotIn("Traceback", balancer.output())
        self.assertNotIn("Unhandled", balancer.output())
