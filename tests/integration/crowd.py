"""Many at once: clients by the thousand and a backend that serves them all, each in one thread, and what a process
uses meanwhile. Nothing here opens more than it is told to, and every wait is bounded."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, field

TICK = os.sysconf("SC_CLK_TCK")
ROOMY = b"x" * 65536


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def busy(pid: int, seconds: float = 1.5) -> float:
    """The share of a processor that a process uses, measured for so many seconds."""
    before, began = cpu_seconds(pid), time.monotonic()
    threading.Event().wait(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


def idle(pid: int, seconds: float = 15.0) -> float:
    """Wait until a process has done what it had to do, and return the share of a processor that it uses from then on:
    less than a tenth."""
    deadline = time.monotonic() + seconds
    while (share := busy(pid, 1.0)) >= 0.1:
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} still uses {share:.0%} of a processor after {seconds:g} s")
    return share


def connect_all(port: int, count: int, seconds: float = 20.0, source: str = "127.0.0.1") -> list[socket.socket]:
    """So many clients that dial at the same time; returns when all are connected. The caller closes them."""
    socks, poll = [], select.poll()
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        if source != "127.0.0.1":
            sock.bind((source, 0))
        sock.connect_ex(("127.0.0.1", port))
        poll.register(sock, select.POLLOUT)
        socks.append(sock)
    waiting, deadline = count, time.monotonic() + seconds
    while waiting:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{waiting} of {count} clients are not connected after {seconds:g} s")
        for fd, _ in poll.poll(100):
            poll.unregister(fd)
            waiting -= 1
    return socks


@define
class Answers:
    """What came of asking: who was answered and when, and who was sent away (a reset, or the end of the stream)."""

    seconds: dict[socket.socket, float] = field(factory=dict)
    ended: set[socket.socket] = field(factory=set)

    @property
    def slowest(self) -> float:
        """Seconds that the last answer took."""
        return max(self.seconds.values(), default=0.0)


def ask_all(
    socks: Sequence[socket.socket],
    seconds: float,
    data: bytes = b"hello",
    enough: Callable[[Answers], bool] | None = None,
) -> Answers:
    """Send on each of these (nothing, where it was sent before) and wait for that much to come back from all, or
    until it is `enough`, or until the time is over."""
    answers, poll = Answers(), select.poll()
    missing = dict.fromkeys((sock.fileno() for sock in socks), max(1, len(data)))
    by_number = {sock.fileno(): sock for sock in socks}
    began = time.monotonic()
    for sock in socks:
        with contextlib.suppress(OSError):
            if data:
                sock.send(data)
        poll.register(sock, select.POLLIN)
    while missing and time.monotonic() - began < seconds and not (enough and enough(answers)):
        for fd, _ in poll.poll(50):
            sock = by_number[fd]
            try:
                came = len(sock.recv(65536))
            except BlockingIOError:
                continue
            except OSError:
                came = 0
            missing[fd] -= came
            if not came or missing[fd] <= 0:
                poll.unregister(fd)
                del missing[fd]
                if came:
                    answers.seconds[sock] = time.monotonic() - began
                else:
                    answers.ended.add(sock)
    return answers


def close_all(socks: Sequence[socket.socket]) -> None:
    """Close all of these."""
    for sock in socks:
        sock.close()


class Server(threading.Thread):
    """A backend for any number of connections: it echoes, or with `endless` sends without end to who reads."""

    def __init__(self, endless: bool = False, host: str = "127.0.0.1") -> None:
        super().__init__(daemon=True)
        self.accepted = 0
        self._endless = endless
        self._listening = socket.create_server((host, 0), backlog=4096)
        self._listening.setblocking(False)
        self.port: int = self._listening.getsockname()[1]
        self._socks: dict[int, socket.socket] = {}
        self._stopping = False
        self.start()

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._socks)

    def run(self) -> None:
        epoll = select.epoll()
        epoll.register(self._listening, select.EPOLLIN)
        while not self._stopping:
            for fd, mask in epoll.poll(0.05, 256):
                if fd == self._listening.fileno():
                    self._accept(epoll)
                elif fd in self._socks and not self._serve(self._socks[fd], mask):
                    self._socks.pop(fd).close()
        epoll.close()
        self._listening.close()
        close_all(list(self._socks.values()))

    def _accept(self, epoll: select.epoll) -> None:
        for _ in range(256):
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.setblocking(False)
            self.accepted += 1
            self._socks[sock.fileno()] = sock
            epoll.register(sock, select.EPOLLIN | (select.EPOLLOUT if self._endless else 0))

    def _serve(self, sock: socket.socket, mask: int) -> bool:
        try:
            if mask & select.EPOLLOUT:
                sock.send(ROOMY)
            if mask & ~select.EPOLLOUT:
                data = sock.recv(65536)
                sock.send(data)
                return bool(data)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Close everything."""
        self._stopping = True
        self.join()
