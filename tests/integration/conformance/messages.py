"""Bytes arrive complete, in order and without waiting for more, however they are cut up."""

from __future__ import annotations

import random
import socket

from tests.integration.conformance.case import ConformanceCase, blocking
from tests.integration.streams import Reading, Sending, Stream, digest_reply, echo, read_to_end
from tests.integration.wire import Backend, half_close, read_exactly

SIZES = (0, 1, 1023, 1024, 1025, 2048, 65535, 65536, 65537, 3_000_000)
KINDS = ("tcp", "unix", "tcp6")


class Messages(ConformanceCase):
    """Exchanges over one connection."""

    def echoing(self, kind: str = "tcp", **options: object) -> socket.socket:
        """A client's connection to an echo backend."""
        backend = Backend(kind)
        backend.serve(echo)
        self.stage.open(backend.place, **options)
        return self.stage.client()

    @blocking
    def test_sizes(self) -> None:
        """A message of each size is answered in full before the next one is sent."""
        client = self.echoing()
        for seed, size in enumerate(SIZES):
            message = Stream(size, seed).data()
            sending = Sending(client, Stream(size, seed))
            self.assertEqual(message, read_exactly(client, size), f"{size} bytes")
            sending.done()
        half_close(client)
        self.assertEqual(b"", client.recv(1))

    @blocking
    def test_nothing(self) -> None:
        """A connection on which nothing is said ends as cleanly as any."""
        client, server = self.stage.pair()
        half_close(client)
        self.assertEqual(Stream(0).whole(), read_to_end(server))
        half_close(server)
        self.assertEqual(Stream(0).whole(), read_to_end(client))

    @blocking
    def test_single_bytes(self) -> None:
        """Each one-byte segment is answered at once: nothing waits to be gathered."""
        client = self.echoing()
        for byte in Stream(500).data():
            client.sendall(bytes((byte,)))
            self.assertEqual(byte, client.recv(2)[0])

    @blocking
    def test_single_bytes_unanswered(self) -> None:
        """A train of one-byte segments arrives whole and in order."""
        client, server = self.stage.pair()
        stream = Stream(5000)
        for byte in stream.data():
            client.send(bytes((byte,)))
        half_close(client)
        self.assertEqual(stream.whole(), read_to_end(server))

    @blocking
    def test_random_splits(self) -> None:
        """Any split into segments, some sent at once and some after the echo of all before, gives the same bytes."""
        client, rng = self.echoing(), random.Random(7)
        data = memoryview(Stream(1_000_000).data())
        sent = got = 0
        received = bytearray()
        while sent < len(data):
            piece = data[sent : sent + rng.choice((1, 2, 7, 100, 1448, 4096, 65536))]
            client.sendall(piece)
            sent += len(piece)
            if rng.random() < 0.3 or sent - got > 100_000:
                received += read_exactly(client, sent - got)
                got = sent
        received += read_exactly(client, sent - got)
        self.assertEqual(bytes(data), bytes(received))

    @blocking
    def test_bulk_both_ways(self) -> None:
        """50 MB each way at once, byte for byte."""
        client, server = self.stage.pair()
        up, down = Stream(50_000_000, 1), Stream(50_000_000, 2)
        sending = [
            Sending(client, up, lambda: half_close(client)),
            Sending(server, down, lambda: half_close(server)),
        ]
        receiving = Reading(server)
        self.assertEqual(down.whole(), read_to_end(client))
        self.assertEqual(up.whole(), receiving.end())
        for each in sending:
            each.done()

    @blocking
    def test_server_speaks_first(self) -> None:
        """What a backend says first is heard though the client says nothing."""
        client, server = self.stage.pair()
        server.sendall(b"220 ready\r\n")
        self.assertEqual(b"220 ready\r\n", read_exactly(client, 11))
        client.sendall(b"QUIT\r\n")
        self.assertEqual(b"QUIT\r\n", read_exactly(server, 6))

    @blocking
    def test_server_speaks_first_and_leaves(self) -> None:
        """A greeting followed by the end at once is a greeting and an end."""
        backend = Backend()
        backend.serve(lambda sock: sock.sendall(b"busy\r\n"))
        self.stage.open(backend.place)
        for _ in range(20):
            self.assertEqual((6, "eof"), _ending(self.stage.client()))

    @blocking
    def test_many_short(self) -> None:
        """300 connections of one question and one answer each."""
        backend = Backend()
        backend.serve(digest_reply)
        self.stage.open(backend.place)
        for seed in range(300):
            question = Stream(100 + seed, seed)
            with self.stage.client() as client:
                client.sendall(question.data())
                half_close(client)
                self.assertEqual(question.digest().encode(), read_exactly(client, 64))

    @blocking
    def test_two_hundred_at_once(self) -> None:
        """200 connections open together keep their bytes apart."""
        backend = Backend()
        backend.serve(echo)
        self.stage.open(backend.place)
        clients = [self.stage.client() for _ in range(200)]
        for seed, client in enumerate(clients):
            client.sendall(Stream(3000, seed).data())
        for seed, client in enumerate(clients):
            self.assertEqual(Stream(3000, seed).data(), read_exactly(client, 3000))


def _ending(sock: socket.socket) -> tuple[int, str]:
    end = read_to_end(sock)
    return end.count, end.how


def _over(listen: str, backend: str) -> object:
    @blocking
    def test(self: Messages) -> None:
        client, server = self.stage.pair(backend, listen=listen)
        up, down = Stream(3_000_000, 1), Stream(3_000_000, 2)
        sending = Sending(client, up, lambda: half_close(client))
        self.assertEqual(up.whole(), read_to_end(server))
        sending.done()
        sending = Sending(server, down, lambda: half_close(server))
        self.assertEqual(down.whole(), read_to_end(client))
        sending.done()

    test.__name__ = f"test_{listen}_to_{backend}"
    test.__doc__ = f"3 MB up, half-close, 3 MB down, from a {listen} listener to a {backend} backend."
    return test


for _listen in KINDS:
    for _backend in KINDS:
        setattr(Messages, f"test_{_listen}_to_{_backend}", _over(_listen, _backend))
