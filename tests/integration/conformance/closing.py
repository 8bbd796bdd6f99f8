"""Ends: half-closes pass on as half-closes, and a side that stalls costs memory nowhere."""

from __future__ import annotations

import hashlib
import socket

from tests.integration.conformance.case import ConformanceCase, blocking
from tests.integration.streams import Reading, Sending, Stream, digest_reply, fill, read_to_end
from tests.integration.wire import Backend, half_close, read_exactly, until
from txlb.specs import TimeoutsSpec

LARGE = Stream(64_000_000)
FLAT = 3_000_000
"""Resident bytes by which a proxy may grow while one side stalls: buffers of 64 KiB, and what an allocator rounds up to."""


class Closing(ConformanceCase):
    """Half-closes, stalls and ends."""

    @blocking
    def test_upload_then_digest(self) -> None:
        """3 MB up, half-close: the backend reads all of it and its answer comes back."""
        backend = Backend()
        backend.serve(digest_reply)
        self.stage.open(backend.place)
        client, upload = self.stage.client(), Stream(3_000_000)
        sending = Sending(client, upload, lambda: half_close(client))
        self.assertEqual(upload.digest().encode(), read_exactly(client, 64))
        self.assertEqual(b"", client.recv(1))
        sending.done()

    @blocking
    def test_hello_and_half_close_in_one(self) -> None:
        """A short message whose FIN comes with it is answered."""
        backend = Backend()
        backend.serve(digest_reply)
        self.stage.open(backend.place)
        for _ in range(50):
            client = self.stage.client()
            client.sendall(b"hello")
            half_close(client)
            self.assertEqual(hashlib.sha256(b"hello").hexdigest().encode(), read_exactly(client, 64))
            self.assertEqual(b"", client.recv(1))

    @blocking
    def test_backend_half_closes_first(self) -> None:
        """The client sees the backend's EOF, goes on sending 3 MB, and the backend gets all of it."""
        client, server = self.stage.pair()
        server.sendall(b"go on")
        half_close(server)
        self.assertEqual(b"go on", read_exactly(client, 5))
        self.assertEqual(b"", client.recv(1))
        upload = Stream(3_000_000)
        sending = Sending(client, upload, lambda: half_close(client))
        self.assertEqual(upload.whole(), read_to_end(server))
        sending.done()

    @blocking
    def test_client_half_closes_and_hears_long(self) -> None:
        """After the client's half-close 10 MB come down in pieces, each taken before the next."""
        client, server = self.stage.pair()
        half_close(client)
        self.assertEqual(b"", server.recv(1))
        piece = Stream(1_000_000).data()
        for _ in range(10):
            sending = Sending(server, Stream(1_000_000))
            self.assertEqual(piece, read_exactly(client, len(piece)))
            sending.done()
        server.close()
        self.assertEqual(b"", client.recv(1))

    @blocking
    def test_close_of_client_is_seen(self) -> None:
        """A client that goes away altogether ends the backend's stream."""
        client, server = self.stage.pair()
        client.close()
        self.assertEqual(Stream(0).whole(), read_to_end(server))

    @blocking
    def test_close_of_backend_is_seen(self) -> None:
        """A backend that goes away altogether ends the client's stream."""
        client, server = self.stage.pair()
        server.close()
        self.assertEqual(Stream(0).whole(), read_to_end(client))

    def stalls(self, sender: socket.socket, reader: socket.socket) -> None:
        """The sender is held back while the reader rests, in little memory; then everything comes."""
        before = self.stage.proxy.resident()
        (taken,) = fill([sender], LARGE, 0.3)
        self.assertLess(taken, LARGE.size, "nobody holds the sender back")
        self.assertLess(self.stage.proxy.resident() - before, FLAT, f"memory grew; {taken} bytes were taken")
        rest = Sending(sender, LARGE, lambda: half_close(sender), start=taken)
        self.assertEqual(LARGE.whole(), read_to_end(reader))
        rest.done()

    @blocking
    def test_slow_client(self) -> None:
        """A client that does not read holds the backend back; the proxy's memory stays flat."""
        LARGE.data()
        client, server = self.stage.pair()
        self.stalls(server, client)

    @blocking
    def test_slow_backend(self) -> None:
        """A backend that does not read holds the client back; the proxy's memory stays flat."""
        LARGE.data()
        client, server = self.stage.pair()
        self.stalls(client, server)

    @blocking
    def test_one_direction_stalled_other_flows(self) -> None:
        """A full direction does not hold up the other one."""
        client, server = self.stage.pair()
        fill([client], Stream(32_000_000), 0.1)
        down = Stream(5_000_000, 2)
        reading = Reading(client)
        sending = Sending(server, down, lambda: half_close(server))
        self.assertEqual(down.whole(), reading.end())
        sending.done()

    @blocking
    def test_trickle_to_slow_reader(self) -> None:
        """A reader that takes 1000 bytes at a time gets every one of them."""
        client, server = self.stage.pair()
        stream = Stream(400_000)
        sending = Sending(server, stream, server.close)
        self.assertEqual(stream.whole(), read_to_end(client, size=1000))
        sending.done()

    def stalled_at_close(self, leaver: socket.socket, stalled: socket.socket) -> None:
        """One says a lot and leaves; the other never reads: both are let go in bounded time."""
        fill([leaver], Stream(32_000_000), 0.1)
        leaver.close()
        proxy, (held, _) = self.stage.proxy, self.stage.before
        until(lambda: proxy.descriptors() <= held, "the stalled side is given up", 8)
        self.assertIn(read_to_end(stalled).how, ("reset", "eof"))

    @blocking
    def test_client_stalled_at_close(self) -> None:
        """The backend leaves while its bytes wait for a client that never reads."""
        client, server = self.stage.pair(timeouts=SHORT)
        self.stalled_at_close(server, client)

    @blocking
    def test_backend_stalled_at_close(self) -> None:
        """The client leaves while its bytes wait for a backend that never reads."""
        client, server = self.stage.pair(timeouts=SHORT)
        self.stalled_at_close(client, server)


SHORT = TimeoutsSpec(connect=1.0, idle=1.0, half_close=0.4, linger=0.4)
