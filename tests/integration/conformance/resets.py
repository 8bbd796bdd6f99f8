"""Resets: passed on as resets, after all that came before them, and nothing left behind in any phase."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.integration.conformance.case import ConformanceCase, blocking
from tests.integration.streams import Reading, Stream, fill, read_to_end
from tests.integration.wire import Backend, flushed, half_close, nowhere, read_exactly, reset, unacknowledged, until

TIMES = 20
Pairs = list[tuple[socket.socket, socket.socket]]


class Resets(ConformanceCase):
    """Each phase from each side, twenty times together: 240 resets in all. `keeps_paused_bytes`: what the proxy's kernel
    had acknowledged survives a reset even when the proxy had stopped reading."""

    keeps_paused_bytes = True

    def pairs(self) -> Pairs:
        """Twenty connections through one proxy."""
        backend = Backend()
        self.stage.open(backend.place)
        return [(self.stage.client(), backend.accept()) for _ in range(TIMES)]

    def all_end(self, pairs: Pairs, side: int, streams: tuple[Stream, Stream]) -> None:
        """Reset one side of each; the other end reads a prefix of what was sent to it, and an end."""
        for pair in pairs:
            reset(pair[side])
        readings = [Reading(pair[1 - side]) for pair in pairs]
        for reading in readings:
            end = reading.end()
            self.assertNotEqual("hung", end.how)
            self.assertTrue(streams[side].begins(end), "these are not the bytes that were sent")
        for pair in pairs:
            pair[1 - side].close()
        self.stage.settled()

    def phase(self, side: int, prepare: Callable[[Pairs], None]) -> None:
        """Bring twenty connections to a phase and reset them from one side (0: client, 1: backend)."""
        pairs = self.pairs()
        prepare(pairs)
        self.all_end(pairs, side, (UP, DOWN))

    def passes_on(self, side: int) -> None:
        """A reset on an idle connection is a reset at the other end."""
        for pair in self.pairs():
            reset(pair[side])
            self.assertEqual((0, "reset"), _ending(pair[1 - side]))

    @blocking
    def test_client_reset_is_passed_on(self) -> None:
        """The backend sees a reset, not a clean end."""
        self.passes_on(0)

    @blocking
    def test_backend_reset_is_passed_on(self) -> None:
        """The client sees a reset, not a clean end that it might take for a whole answer."""
        self.passes_on(1)

    def after_bytes(self, side: int) -> None:
        """What came before a reset is delivered before it."""
        stream = Stream(100_000)
        for pair in self.pairs():
            reading = Reading(pair[1 - side])
            pair[side].sendall(stream.data())
            flushed(pair[side])
            reset(pair[side])
            end = reading.end()
            self.assertEqual((stream.size, stream.digest(), "reset"), (end.count, end.digest, end.how))

    @blocking
    def test_bytes_before_reset_of_backend(self) -> None:
        """100 kB and a reset: the client gets 100 kB and a reset."""
        self.after_bytes(1)

    @blocking
    def test_bytes_before_reset_of_client(self) -> None:
        """100 kB and a reset: the backend gets 100 kB and a reset."""
        self.after_bytes(0)

    @blocking
    def test_stalled_bytes_before_reset(self) -> None:
        """A client that reads again only after the backend's reset gets what the proxy's kernel had acknowledged."""
        client, server = self.stage.pair()
        (sent,) = fill([server], DOWN)
        acknowledged = sent - unacknowledged(server)
        reset(server)
        end = read_to_end(client)
        self.assertTrue(DOWN.begins(end))
        self.assertEqual("reset", end.how)
        if self.keeps_paused_bytes:
            self.assertGreaterEqual(end.count, acknowledged)

    @blocking
    def test_dialling_client_resets(self) -> None:
        """Clients that reset while the backend is being dialled are forgotten, and the dials with them."""
        backend = Backend(backlog=0)
        backend.clog()
        self.stage.open(backend.place)
        held = self.stage.proxy.descriptors()
        clients = [self.stage.client() for _ in range(TIMES)]
        until(lambda: self.stage.proxy.descriptors() >= held + 2 * TIMES, "all are being dialled")
        for client in clients:
            client.sendall(b"early")
            reset(client)
        self.stage.settled(4)

    @blocking
    def test_dialling_backend_refuses(self) -> None:
        """Clients whose backend refuses are reset, and nothing remains."""
        self.stage.open(nowhere())
        for _ in range(TIMES):
            self.assertEqual((0, "reset"), _ending(self.stage.client()))

    @blocking
    def test_idle_client_resets(self) -> None:
        """Idle connections, reset by the client."""
        self.phase(0, _exchange)

    @blocking
    def test_idle_backend_resets(self) -> None:
        """Idle connections, reset by the backend."""
        self.phase(1, _exchange)

    @blocking
    def test_upload_full_client_resets(self) -> None:
        """The direction up is full when the client resets."""
        self.phase(0, _fill_up)

    @blocking
    def test_upload_full_backend_resets(self) -> None:
        """The direction up is full when the backend resets."""
        self.phase(1, _fill_up)

    @blocking
    def test_download_full_client_resets(self) -> None:
        """The direction down is full when the client resets."""
        self.phase(0, _fill_down)

    @blocking
    def test_download_full_backend_resets(self) -> None:
        """The direction down is full when the backend resets."""
        self.phase(1, _fill_down)

    @blocking
    def test_both_full_client_resets(self) -> None:
        """Both directions are full when the client resets."""
        self.phase(0, _fill_both)

    @blocking
    def test_both_full_backend_resets(self) -> None:
        """Both directions are full when the backend resets."""
        self.phase(1, _fill_both)

    @blocking
    def test_half_closed_by_client_then_resets(self) -> None:
        """The client half-closed before it resets."""
        self.phase(0, lambda pairs: _half_close(pairs, 0))

    @blocking
    def test_half_closed_by_client_backend_resets(self) -> None:
        """The client half-closed before the backend resets."""
        self.phase(1, lambda pairs: _half_close(pairs, 0))

    @blocking
    def test_half_closed_by_backend_client_resets(self) -> None:
        """The backend half-closed before the client resets."""
        self.phase(0, lambda pairs: _half_close(pairs, 1))

    @blocking
    def test_half_closed_by_backend_then_resets(self) -> None:
        """The backend half-closed before it resets."""
        self.phase(1, lambda pairs: _half_close(pairs, 1))


UP, DOWN = Stream(24_000_000, 1), Stream(24_000_000, 2)


def _ending(sock: socket.socket) -> tuple[int, str]:
    end = read_to_end(sock)
    return end.count, end.how


def _exchange(pairs: Pairs) -> None:
    for client, server in pairs:
        client.sendall(UP.data()[:10])
        read_exactly(server, 10)


def _fill_up(pairs: Pairs) -> None:
    fill([client for client, _ in pairs], UP)


def _fill_down(pairs: Pairs) -> None:
    fill([server for _, server in pairs], DOWN)


def _fill_both(pairs: Pairs) -> None:
    _fill_up(pairs)
    _fill_down(pairs)


def _half_close(pairs: Pairs, side: int) -> None:
    for pair in pairs:
        half_close(pair[side])
        if pair[1 - side].recv(1):
            raise AssertionError("bytes that nobody sent")
