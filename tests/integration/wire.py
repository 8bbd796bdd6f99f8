"""Raw sockets for tests: blocking, each operation bounded in time, all of them known so that leaks can be told apart.

The descriptors of a test and those of a proxy in the same process look alike in `/proc/self/fd`; every socket made here
is kept in `OWN`, and what remains after subtracting these is the proxy's.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import os
import socket
import struct
import tempfile
import termios
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

PATIENCE = 12.0
"""Seconds after which a test says that something hangs."""

CHUNK = 1 << 18

OWN: set[socket.socket] = set()
_own_lock = threading.Lock()
_numbers = itertools.count()

born_reset: weakref.WeakSet[socket.socket] = weakref.WeakSet()
"""Clients that were reset before `connect` had returned."""


def keep(sock: socket.socket) -> socket.socket:
    """Remember a socket as the test's own, and bound its operations in time."""
    sock.settimeout(PATIENCE)
    with _own_lock:
        OWN.add(sock)
    return sock


def own_descriptors() -> int:
    """How many descriptors the test itself holds."""
    with _own_lock:
        OWN.difference_update([sock for sock in OWN if sock.fileno() < 0])
        return len(OWN)


def close_own() -> None:
    """Close every socket that tests made."""
    with _own_lock:
        socks = list(OWN)
    for sock in socks:
        hang_up(sock)


def hang_up(sock: socket.socket) -> None:
    """Close at once even while a thread waits on it: a mere close would leave the kernel's socket to that thread."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def until(condition: Callable[[], Any], what: str | Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait for a condition; AssertionError with `what` when it does not come true in time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain for: {what() if callable(what) else what}")
        time.sleep(0.002)


@frozen
class Place:
    """Where something listens: `kind` is tcp, tcp6 or unix."""

    kind: str
    address: Any

    @property
    def family(self) -> int:
        return {"tcp": socket.AF_INET, "tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}[self.kind]

    @property
    def client_string(self) -> str:
        """The Twisted client endpoint string that dials it."""
        if self.kind == "unix":
            return f"unix:{self.address}"
        host = self.address[0].replace(":", r"\:")
        return f"tcp:{host}:{self.address[1]}"

    @property
    def plain(self) -> str:
        """host:port as HAProxy and nginx write it; a path for a UNIX socket."""
        if self.kind == "unix":
            return str(self.address)
        return (
            f"[{self.address[0]}]:{self.address[1]}" if self.kind == "tcp6" else f"{self.address[0]}:{self.address[1]}"
        )


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for sockets and configuration files, gone when the process ends."""
    return tempfile.TemporaryDirectory(prefix="txlb-")


def fresh(kind: str) -> Any:
    """An address to bind: port 0, or an unused path."""
    if kind == "unix":
        return str(Path(scratch().name) / f"s{next(_numbers)}")
    return ("127.0.0.1", 0) if kind == "tcp" else ("::1", 0)


@define(eq=False)
class Backend:
    """A listening socket of the test's; connections are taken with `accept`."""

    kind: str = "tcp"
    backlog: int = 256
    listening: bool = True
    sock: socket.socket = field(init=False)
    place: Place = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.place = Place(self.kind, fresh(self.kind))
        self.sock = self._bound()
        if self.kind != "unix":
            self.place = Place(self.kind, self.sock.getsockname()[:2])
        if self.listening:
            self.sock.listen(self.backlog)

    def _bound(self) -> socket.socket:
        sock = keep(socket.socket(self.place.family))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(self.place.address)
        return sock

    def accept(self, patience: float = PATIENCE) -> socket.socket:
        """The next connection."""
        self.sock.settimeout(patience)
        sock, _ = self.sock.accept()
        return keep(sock)

    def close(self) -> None:
        """Refuse from now on."""
        hang_up(self.sock)

    def reopen(self) -> None:
        """Bind the same place again, after `close`."""
        self.sock = self._bound()

    def serve(self, talk: Callable[[socket.socket], Any]) -> threading.Thread:
        """Give each connection a thread that runs `talk` and closes, until the listening socket is closed."""

        def one(sock: socket.socket) -> None:
            with sock:
                try:
                    talk(sock)
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    sock = self.accept(0.2)
                except TimeoutError:
                    continue
                except OSError:
                    return
                threading.Thread(target=one, args=(sock,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        return thread

    def clog(self) -> None:
        """Fill the backlog, so that the next dial hangs (TCP) or is told to try later (UNIX). Needs `backlog=0`."""
        for _ in range(8):
            sock = keep(socket.socket(self.place.family))
            sock.setblocking(False)
            if self.kind == "unix":
                if sock.connect_ex(self.place.address):
                    return
                continue
            sock.connect_ex(self.place.address)
            time.sleep(0.03)
            if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\x01":  # not established
                sock.close()
                return
        raise AssertionError("the backlog never filled")


def nowhere(kind: str = "tcp") -> Place:
    """A place that refuses connections for as long as the test runs."""
    return Backend(kind, listening=False).place


def dial(place: Place) -> socket.socket:
    """A client's connection. One that was reset before `connect` had returned says so when it is read."""
    sock = keep(socket.socket(place.family))
    try:
        sock.connect(place.address)
    except ConnectionResetError:
        born_reset.add(sock)  # the kernel tells it once only
    if place.kind != "unix":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def reset(sock: socket.socket) -> None:
    """Close with a reset (TCP) at once, even while a thread waits on it; what is unsent is lost."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ctypes.CDLL(None).connect(sock.fileno(), bytes(16), 16)  # to AF_UNSPEC: disconnects, waking who waits
    sock.close()


def unacknowledged(sock: socket.socket) -> int:
    """How many bytes the kernel holds that the other end has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]


def flushed(sock: socket.socket) -> None:
    """Wait until the other end's kernel has all that was sent."""
    until(lambda: unacknowledged(sock) == 0, "the other end takes what was sent")


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """That many bytes; AssertionError when the stream ends before."""
    chunks, left = [], size
    while left:
        chunk = sock.recv(min(left, CHUNK))
        if not chunk:
            raise AssertionError(f"the stream ended {left} bytes before the {size} asked for")
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def half_close(sock: socket.socket) -> None:
    """Say that no more will be sent."""
    sock.shutdown(socket.SHUT_WR)


def descriptors(pid: int | str = "self") -> int:
    """How many descriptors a process holds (its own listing of them not counted)."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) - (1 if pid == "self" else 0)


def resident(pid: int | str = "self") -> int:
    """A process's resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
