"""TLS on either leg, which the reactor engine carries by Twisted's endpoints."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """
listeners:
  inner:
    listen: ssl:{inner}:interface=127.0.0.1:privateKey={key}:certKey={cert}
    pool: echoes
  outer:
    listen: tcp:{outer}:interface=127.0.0.1
    pool: encrypted
    timeouts: {{connect: 2s}}
pools:
  echoes:
    backends: ["tcp:127.0.0.1:{echo}"]
  encrypted:
    strategy: first-available
    backends: ["tls:localhost:{backend}:trustRoots={trust}", "tls:localhost:{inner}:trustRoots={trust}"]
echo:
  - tcp:{echo}:interface=127.0.0.1
"""

UNSHAKEN = """
listeners:
  inner:
    listen: ssl:{inner}:interface=127.0.0.1:privateKey={key}:certKey={cert}
    pool: one
    timeouts: {{connect: 200ms}}
pools:
  one:
    backends: ["tcp:127.0.0.1:{backend}"]
"""


class Tls(SynchronousTestCase):
    """A client in plain text, a balancer that encrypts, a balancer that decrypts, an echo server."""

    def setUp(self) -> None:
        folder = programs.folder(self)
        (folder / "trust").mkdir()
        self.key, self.cert = folder / "key.pem", folder / "trust" / "cert.pem"
        command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        programs.run([programs.find("openssl"), *command.split(), "-keyout", str(self.key), "-out", str(self.cert)])
        self.inner, self.outer = programs.free_port(), programs.free_port()

    def start(self, backend: int) -> programs.Program:
        """Both balancers in one process; `backend` is tried before the one that works."""
        values = {"inner": self.inner, "outer": self.outer, "echo": programs.free_port(), "backend": backend}
        files: dict[str, Path] = {"key": self.key, "cert": self.cert, "trust": self.cert.parent}
        return programs.start_balancer(self, CONFIG.format(**values, **files))

    def exchange(self, data: bytes) -> bytes:
        """What comes back through both, the client half-closing first."""
        with socket.create_connection(("127.0.0.1", self.outer), timeout=20) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            received = b""
            while len(received) < len(data):
                chunk = client.recv(65536)
                self.assertTrue(chunk, f"ended after {len(received)} bytes")
                received += chunk
            return received

    def test_both_legs(self) -> None:
        """A megabyte goes through and comes back, though the client ends its direction, which TLS cannot pass on."""
        self.start(programs.free_port())
        data = os.urandom(1_000_000)
        self.assertEqual(hashlib.sha256(self.exchange(data)).hexdigest(), hashlib.sha256(data).hexdigest())

    def test_failed_handshake_tries_the_next(self) -> None:
        """A backend that accepts and then speaks no TLS counts as not reached."""
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen()
            self.start(mute.getsockname()[1])
            self.assertEqual(self.exchange(b"hello"), b"hello")

    def test_client_of_the_tls_listener(self) -> None:
        """A TLS client is served, and its clean close is no failure."""
        balancer = self.start(programs.free_port())
        context = ssl.create_default_context(cafile=str(self.cert))
        context.set_alpn_protocols(["h2", "http/1.1"])  # as curl does; the balancer speaks none of them
        with (
            socket.create_connection(("127.0.0.1", self.inner), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"hello")
            self.assertEqual(client.recv(5), b"hello")
            self.assertIsNone(client.selected_alpn_protocol())
            client.unwrap()
        self.assertEqual(self.exchange(b"again"), b"again")
        self.assertNotIn("Traceback", balancer.output())

    def test_no_handshake(self) -> None:
        """A client of the TLS listener that never shakes hands occupies no backend, and is reset after `connect`."""
        with socket.socket() as backend:
            backend.bind(("127.0.0.1", 0))
            backend.listen()
            backend.setblocking(False)
            config = UNSHAKEN.format(inner=self.inner, key=self.key, cert=self.cert, backend=backend.getsockname()[1])
            balancer = programs.start_balancer(self, config)
            balancer.wait_for_ports([self.inner])
            with socket.create_connection(("127.0.0.1", self.inner), timeout=20) as client:
                self.assertRaises(ConnectionResetError, client.recv, 1)
            balancer.wait_for_output("idle-timeout .no TLS handshake within 0.2 s., 0 tried")
            self.assertRaises(BlockingIOError, backend.accept)
