"""Dials that fail, hang or are late, and every limit that has a number."""

from __future__ import annotations

import time

from tests.integration.conformance.case import ConformanceCase, blocking
from tests.integration.streams import Sending, Stream, digest_reply, echo, fill, read_to_end
from tests.integration.wire import PATIENCE, Backend, half_close, nowhere, read_exactly, reset, until
from txlb.specs import TimeoutsSpec

LONG = TimeoutsSpec(connect=10.0, idle=60.0, half_close=30.0, linger=5.0)


class Limits(ConformanceCase):
    """Dialling and its retries, timeouts, the maximum of connections."""

    def hanging(self, **options: object) -> Backend:
        """A proxy whose only backend does not answer dials until something is accepted from its full backlog."""
        backend = Backend(backlog=0)
        backend.clog()
        self.stage.open(backend.place, timeouts=LONG, **options)
        return backend

    def first_with_bytes(self, backend: Backend) -> object:
        """Take connections until one that carries something: those that clogged the backlog say nothing."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            server = backend.accept()
            server.settimeout(0.1)
            try:
                if server.recv(1, 2):  # MSG_PEEK
                    server.settimeout(PATIENCE)
                    return server
            except TimeoutError:
                continue
        raise AssertionError("the client's bytes never came")

    @blocking
    def test_early_bytes_in_order(self) -> None:
        """3 MB that a client starts to send before the backend is there arrive whole and in order."""
        backend, upload = self.hanging(), Stream(3_000_000)
        client = self.stage.client()
        sending = Sending(client, upload, lambda: half_close(client))
        server = self.first_with_bytes(backend)
        self.assertEqual(upload.whole(), read_to_end(server))
        sending.done()

    @blocking
    def test_half_close_during_the_dial(self) -> None:
        """A client that has said all and half-closed before the backend is there gets its answer."""
        backend = self.hanging()
        client = self.stage.client()
        client.sendall(b"question")
        half_close(client)
        server = self.first_with_bytes(backend)
        self.assertEqual(b"question", read_exactly(server, 8))
        self.assertEqual(b"", server.recv(1))
        server.sendall(b"answer")
        server.close()
        self.assertEqual(b"answer", read_exactly(client, 6))
        self.assertEqual(b"", client.recv(1))

    @blocking
    def test_all_backends_down(self) -> None:
        """When no backend is to be had the client is reset at once: not a clean end, not a hang."""
        self.stage.open(nowhere(), nowhere(), nowhere())
        took = []
        for _ in range(10):
            client, began = self.stage.client(), time.monotonic()
            end = read_to_end(client)
            took.append(time.monotonic() - began)
            self.assertEqual((0, "reset"), (end.count, end.how))
        self.assertLess(sorted(took)[len(took) // 2], 1.0, "seconds until the reset, the median")

    @blocking
    def test_refused_goes_to_the_next(self) -> None:
        """With two backends of three down every client is served, and what it sent early is kept."""
        backend = Backend()
        backend.serve(echo)
        self.stage.open(nowhere(), backend.place, nowhere())
        for seed in range(12):
            client = self.stage.client()
            client.sendall(Stream(20_000, seed).data())
            self.assertEqual(Stream(20_000, seed).data(), read_exactly(client, 20_000))

    @blocking
    def test_unix_refused_goes_to_the_next(self) -> None:
        """A UNIX socket on which nobody listens is a refusal like any other."""
        backend = Backend()
        backend.serve(echo)
        self.stage.open(nowhere("unix"), backend.place)
        for _ in range(4):
            client = self.stage.client()
            client.sendall(b"hello")
            self.assertEqual(b"hello", read_exactly(client, 5))

    @blocking
    def test_unix_backlog_full_goes_to_the_next(self) -> None:
        """A UNIX socket with a full backlog is busy: another backend serves."""
        busy, backend = Backend("unix", backlog=0), Backend()
        busy.clog()
        backend.serve(echo)
        self.stage.open(busy.place, backend.place)
        for _ in range(4):
            client = self.stage.client()
            client.sendall(b"hello")
            self.assertEqual(b"hello", read_exactly(client, 5))

    @blocking
    def test_connect_timeout_goes_to_the_next(self) -> None:
        """A dial that hangs is given up after the connect timeout, and the next backend serves."""
        hanging, backend = Backend(backlog=0), Backend()
        hanging.clog()
        backend.serve(digest_reply)
        self.stage.open(hanging.place, backend.place, timeouts=TimeoutsSpec(connect=0.3))
        clients = [self.stage.client() for _ in range(4)]
        for client in clients:
            client.sendall(b"hello")
            half_close(client)
        for client in clients:
            self.assertEqual(64, len(read_exactly(client, 64)))

    @blocking
    def test_connect_timeout_of_all(self) -> None:
        """When every dial hangs the client is reset, soon after the connect timeouts."""
        hanging = Backend(backlog=0)
        hanging.clog()
        self.stage.open(hanging.place, timeouts=TimeoutsSpec(connect=0.3), retries=0)
        client, began = self.stage.client(), time.monotonic()
        self.assertEqual("reset", read_to_end(client).how)
        self.assertGreater(time.monotonic() - began, 0.25)
        self.assertLess(time.monotonic() - began, 4)

    @blocking
    def test_idle_timeout(self) -> None:
        """A connection on which nothing moves is ended at both sides; one on which something does is not."""
        backend = Backend()
        self.stage.open(backend.place, timeouts=TimeoutsSpec(idle=0.6, half_close=0.6, linger=0.3))
        quiet, busy = self.stage.client(), self.stage.client()
        accepted = [backend.accept(), backend.accept()]
        began = time.monotonic()
        served = _served(busy, accepted)
        while time.monotonic() - began < 2.0:
            busy.sendall(b".")
            self.assertEqual(b".", served.recv(1))
            time.sleep(0.1)
        (other,) = [sock for sock in accepted if sock is not served]
        for sock in (quiet, other):
            sock.setblocking(False)
            self.assertEqual(0, _end_now(sock), "the quiet connection is open still")
        half_close(busy)
        self.assertEqual(b"", served.recv(1))

    def half_closed(self, side: int) -> None:
        """One side half-closes, the other says nothing: both are let go."""
        pair = self.stage.pair(timeouts=TimeoutsSpec(idle=20, half_close=0.4, linger=0.3))
        half_close(pair[side])
        self.assertEqual(b"", pair[1 - side].recv(1))
        began = time.monotonic()
        self.assertNotEqual("hung", read_to_end(pair[side], 6).how)
        self.assertGreater(time.monotonic() - began, 0.2)
        proxy, (held, _) = self.stage.proxy, self.stage.before
        until(lambda: proxy.descriptors() <= held, "both sides are let go", 6)

    @blocking
    def test_half_close_timeout_of_client(self) -> None:
        """The client half-closed and the backend never answers."""
        self.half_closed(0)

    @blocking
    def test_half_close_timeout_of_backend(self) -> None:
        """The backend half-closed and the client never says more."""
        self.half_closed(1)

    @blocking
    def test_half_closed_but_alive(self) -> None:
        """The half-close timeout counts from the last byte, not from the half-close."""
        client, server = self.stage.pair(timeouts=TimeoutsSpec(idle=20, half_close=0.6, linger=0.3))
        half_close(client)
        began = time.monotonic()
        while time.monotonic() - began < 2.0:
            server.sendall(b".")
            self.assertEqual(b".", client.recv(1))
            time.sleep(0.1)
        server.close()
        self.assertEqual(b"", client.recv(1))

    @blocking
    def test_linger_timeout(self) -> None:
        """The backend resets while a client stalls: what is left is dropped after the linger timeout."""
        client, server = self.stage.pair(timeouts=TimeoutsSpec(idle=20, half_close=20, linger=0.4))
        fill([server], Stream(32_000_000))
        reset(server)
        proxy, (held, _) = self.stage.proxy, self.stage.before
        until(lambda: proxy.descriptors() <= held, "the stalled client is given up", 6)
        self.assertEqual("reset", read_to_end(client).how)

    @blocking
    def test_max_connections(self) -> None:
        """Clients over the maximum wait in the backlog and are served as soon as others leave."""
        backend = Backend()
        self.stage.open(backend.place, max_connections=2)
        clients = [self.stage.client() for _ in range(5)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        served = [backend.accept(), backend.accept()]
        with self.assertRaises(TimeoutError):
            backend.accept(0.3)
        seen = {read_exactly(sock, 1) for sock in served}
        self.assertEqual({b"0", b"1"}, seen)
        for number in (2, 3, 4):
            clients[number - 2].close()
            served[number - 2].close()
            served.append(backend.accept())
            self.assertEqual(b"%d" % number, read_exactly(served[-1], 1))

    @blocking
    def test_reset_makes_room(self) -> None:
        """A connection that ends with a reset gives its place back too."""
        backend = Backend()
        self.stage.open(backend.place, max_connections=1)
        for _ in range(10):
            client = self.stage.client()
            server = backend.accept()
            reset(client)
            self.assertEqual(0, read_to_end(server).count)
            server.close()


def _served(client: object, accepted: list) -> object:
    """Which of the accepted connections is this client's."""
    client.sendall(b"!")
    found: list = []

    def look() -> bool:
        for sock in accepted:
            sock.settimeout(0.01)
            try:
                if sock.recv(1) == b"!":
                    sock.settimeout(PATIENCE)
                    found.append(sock)
            except TimeoutError:
                continue
        return bool(found)

    until(look, "one of the backend's connections hears the client")
    return found[0]


def _end_now(sock: object) -> int:
    """0 when the stream has ended; raises BlockingIOError when it goes on."""
    try:
        return len(sock.recv(10))
    except ConnectionResetError:
        return 0
