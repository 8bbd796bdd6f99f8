"""Long streams whose every byte is known, and those who send and read them."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from attrs import frozen

from tests.integration.wire import CHUNK, PATIENCE, born_reset, half_close


@frozen
class End:
    """What was read up to the end of a stream, and how it ended: eof, reset or hung (not at all, in time)."""

    count: int
    digest: str
    how: str


def read_to_end(
    sock: socket.socket, patience: float = PATIENCE, size: int = CHUNK, keep: bytearray | None = None
) -> End:
    """Read until the stream ends; what was read is added to `keep`."""
    count, digest, how = 0, hashlib.sha256(), "reset" if sock in born_reset else "eof"
    sock.settimeout(patience)
    try:
        while chunk := sock.recv(size):
            count += len(chunk)
            digest.update(chunk)
            if keep is not None:
                keep += chunk
    except TimeoutError:
        how = "hung"
    except OSError:
        how = "reset"
    return End(count, digest.hexdigest(), how)


@cache
def _block(seed: int) -> bytes:
    return random.Random(seed).randbytes(1_000_003)


@frozen
class Stream:
    """`size` reproducible bytes, in which a lost, doubled or swapped piece changes the digest."""

    size: int
    seed: int = 0

    def chunks(self, size: int | None = None) -> Iterable[memoryview]:
        """The bytes, in pieces no larger than the block they repeat."""
        left, block = self.size if size is None else size, memoryview(_block(self.seed))
        while left:
            chunk = block[:left]
            yield chunk
            left -= len(chunk)

    def data(self) -> bytes:
        """All of it at once; made only once."""
        return _all_of(self)

    def digest(self, size: int | None = None) -> str:
        """SHA-256 of all, or of the first `size` bytes."""
        digest = hashlib.sha256()
        for chunk in self.chunks(size):
            digest.update(chunk)
        return digest.hexdigest()

    def whole(self) -> End:
        """What one sees who reads all of it and then EOF."""
        return End(self.size, self.digest(), "eof")

    def begins(self, end: End) -> bool:
        """Whether what was read is a prefix of this."""
        return end.count <= self.size and end.digest == self.digest(end.count)


@cache
def _all_of(stream: Stream) -> bytes:
    return b"".join(stream.chunks())


class Sending(threading.Thread):
    """Sends a stream in the background; `error` is the OSError that stopped it, if one did."""

    def __init__(
        self, sock: socket.socket, stream: Stream, then: Callable[[], Any] | None = None, start: int = 0
    ) -> None:
        super().__init__(daemon=True)
        self.sock, self.stream, self.then, self.skip = sock, stream, then, start
        self.error: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            skip = self.skip
            for chunk in self.stream.chunks():
                self.sock.sendall(chunk[skip:])
                skip = max(0, skip - len(chunk))
            if self.then:
                self.then()
        except OSError as error:
            self.error = error

    def done(self) -> None:
        """Wait for the end of it; raises the error that it met, and AssertionError when it hangs."""
        self.join(PATIENCE)
        if self.error:
            raise self.error
        if self.is_alive():
            raise AssertionError("sending hangs")


class Reading(threading.Thread):
    """Reads a stream to its end in the background."""

    def __init__(self, sock: socket.socket, **options: Any) -> None:
        super().__init__(daemon=True)
        self.sock, self.options = sock, options
        self.seen: End | None = None
        self.start()

    def run(self) -> None:
        self.seen = read_to_end(self.sock, **self.options)

    def end(self) -> End:
        """What was read; AssertionError when it goes on for ever."""
        self.join(3 * PATIENCE)
        if self.seen is None:
            raise AssertionError("reading hangs")
        return self.seen


def fill(socks: Sequence[socket.socket], stream: Stream, quiet: float = 0.15) -> list[int]:
    """Send on all of these until none takes any more for `quiet` seconds; returns how much each took."""
    sent, last = [0] * len(socks), time.monotonic()
    data = memoryview(stream.data())
    for sock in socks:
        sock.setblocking(False)
    while time.monotonic() - last < quiet:
        for index, sock in enumerate(socks):
            try:
                taken = sock.send(data[sent[index] : sent[index] + CHUNK])
            except BlockingIOError:
                continue
            if taken:
                sent[index] += taken
                last = time.monotonic()
        time.sleep(0.001)
    for sock in socks:
        sock.settimeout(PATIENCE)
    return sent


def echo(sock: socket.socket) -> None:
    """Send everything back, then half-close."""
    buffer = bytearray(CHUNK)
    view = memoryview(buffer)
    while size := sock.recv_into(buffer):
        sock.sendall(view[:size])
    half_close(sock)


def digest_reply(sock: socket.socket) -> None:
    """Read to the end and answer with the SHA-256 of it, in hex."""
    sock.sendall(read_to_end(sock).digest.encode())
