"""`twist txecho` as a program, over real sockets."""

from __future__ import annotations

import random
import re
import signal
import socket
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

MB = 1024 * 1024


def read_all(connection: socket.socket) -> bytes:
    """What arrives until the other end closes."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    [kilobytes] = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


class EchoProgramTests(SynchronousTestCase):
    """Started on a port that the kernel chooses, which its log tells."""

    def echo(self, *arguments: str) -> tuple[programs.Program, socket.socket]:
        """A running echo server and a connection to it."""
        program = programs.twist(self, "txecho", "--port", "0", *arguments)
        port = int(program.wait_for_output(r"Echoing on 127\.0\.0\.1:(\d+)")[1])
        connection = socket.create_connection(("127.0.0.1", port), 30)
        self.addCleanup(connection.close)
        return program, connection

    def test_echoes_a_long_stream_and_half_closes(self) -> None:
        """20 MB come back unchanged while they are sent, the last of them after the client's end of stream; then it
        closes."""
        _, connection = self.echo()
        data = random.Random(1).randbytes(20 * MB)

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        self.assertEqual(read_all(connection), data)
        sender.join()

    def test_stops_reading_from_a_client_that_does_not_read(self) -> None:
        """What it takes from such a client is bounded by the kernel's buffers, and its memory stays flat; when the
        client reads, everything is there."""
        program, connection = self.echo()
        before = resident(program.pid)
        data = random.Random(2).randbytes(64 * MB)
        connection.settimeout(1)  # long enough for a server that reads on to do so
        sent = 0
        try:
            while sent < len(data):
                sent += connection.send(data[sent : sent + MB])
        except TimeoutError:
            connection.settimeout(30)
        self.assertLess(sent, len(data))
        self.assertLess(resident(program.pid) - before, 8 * MB)
        connection.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(connection), data[:sent])

    def test_says_its_name_and_takes_its_time(self) -> None:
        """The name is there at once, the echo of a message not before the delay."""
        _, connection = self.echo("--name", "green", "--delay", "150ms", "--jitter", "50ms")
        lines = connection.makefile("rb")
        self.assertEqual(lines.readline(), b"green\n")
        start = time.monotonic()
        connection.sendall(b"hello\n")
        self.assertEqual(lines.readline(), b"hello\n")
        self.assertGreaterEqual(time.monotonic() - start, 0.15)

    def test_a_port_in_use(self) -> None:
        """One line on standard error, and 69."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            command = programs.twist_command("txecho", "--port", str(port))
            done = programs.run(command, check=False, cwd=programs.ROOT)
        self.assertEqual(done.returncode, 69)
        self.assertRegex(done.stderr, rf"\Atxecho: cannot listen on 127\.0\.0\.1:{port}: .*in use\n\Z")

    def test_a_wrong_option(self) -> None:
        """One line that names it, and 64."""
        done = programs.run(programs.twist_command("txecho", "--delay", "soon"), check=False, cwd=programs.ROOT)
        self.assertEqual(done.returncode, 64)
        self.assertRegex(done.stderr, r"\Atxecho: --delay must be a duration such as .*\n\Z")

    def test_interrupted(self) -> None:
        """Ctrl-C ends it, without a traceback."""
        program, connection = self.echo()
        connection.sendall(b"x")
        self.assertEqual(connection.recv(1), b"x")
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), -signal.SIGINT)
        self.assertNotIn("Traceback", program.output())
