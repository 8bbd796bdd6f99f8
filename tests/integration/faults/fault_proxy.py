"""A TCP proxy that does what networks and servers do wrong, one fault at a time.

It stands between txlb and a backend, or between a client and txlb. Each direction of a connection is a thread that
pumps bytes and obeys its `Fault`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from attrs import Factory, define, field, frozen

from tests.integration.wire import Backend, Place, dial, flushed, half_close, hang_up, keep, reset


@frozen
class Fault:
    """What happens to one direction. After `limit` bytes, `then` happens to the whole connection:

    - `eof`: both ends see a half-close and nothing more is taken;
    - `close`: both connections are closed;
    - `reset`: both are reset, once what came before has arrived;
    - `silence`: nothing more is taken or sent, and nothing is said about it.
    """

    latency: float = 0.0  # seconds, for each piece
    bandwidth: float = 0.0  # bytes a second; 0: no limit
    slices: int = 0  # bytes a send, each a segment of its own; 0: as they come
    limit: int | None = None
    then: str = "reset"
    slow_close: float = 0.0  # seconds between an end and its being passed on


PLAIN = Fault()


@define
class FaultProxy:
    """Listens at `place` and passes on to `target`. `up` is the direction of the client's bytes.

    At the dial: `refuse` (nobody listens), `hang` (the backlog is full), `at_accept` of `reset` or `close`.
    """

    target: Place
    up: Fault = PLAIN
    down: Fault = PLAIN
    refuse: bool = False
    hang: bool = False
    at_accept: str = ""
    listener: Backend = field(init=False)
    pumps: list[Pump] = Factory(list)

    def __attrs_post_init__(self) -> None:
        self.listener = Backend(backlog=0 if self.hang else 256, listening=not self.refuse)
        if self.hang:
            self.listener.clog()
        elif not self.refuse:
            threading.Thread(target=self._accept, daemon=True).start()

    @property
    def place(self) -> Place:
        """Where it listens."""
        return self.listener.place

    def heal(self) -> None:
        """No fault from now on, for new connections."""
        self.up = self.down = PLAIN
        self.at_accept = ""
        if self.refuse or self.hang or self.listener.sock.fileno() < 0:
            self.refuse = self.hang = False
            if self.listener.sock.fileno() < 0:
                self.listener.reopen()
            self.listener.sock.listen(256)
            threading.Thread(target=self._accept, daemon=True).start()

    def go_down(self) -> None:
        """The process dies: its connections are closed, new ones refused, until it heals."""
        self.listener.close()
        for pump in self.pumps:
            hang_up(pump.source)

    def _accept(self) -> None:
        listening = self.listener.sock
        while listening.fileno() >= 0:
            try:
                listening.settimeout(0.2)
                sock, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            keep(sock)
            if self.at_accept == "reset":
                reset(sock)
            elif self.at_accept == "close":
                sock.close()
            else:
                self._carry(sock)

    def _carry(self, near: socket.socket) -> None:
        try:
            far = dial(self.target)
        except OSError:
            reset(near)
            return
        link = Link(near, far)
        self.pumps += [Pump(link, near, far, self.up), Pump(link, far, near, self.down)]


@define
class Link:
    """Two connections that share an end."""

    near: socket.socket
    far: socket.socket
    ended: int = 0
    lock: threading.Lock = Factory(threading.Lock)

    def direction_ended(self) -> None:
        """Close both when both directions have ended."""
        with self.lock:
            self.ended += 1
            if self.ended == 2:
                self.near.close()
                self.far.close()

    def break_off(self, how: str) -> None:
        """Do to both what `Fault.then` says; silence does nothing."""
        if how == "reset":
            for sock in (self.near, self.far):
                with contextlib.suppress(OSError):  # the other direction's thread has done it
                    reset(sock)
        elif how == "close":
            for sock in (self.near, self.far):
                hang_up(sock)
        elif how == "eof":
            for sock in (self.near, self.far):
                half_close(sock)


class Pump(threading.Thread):
    """Carries one direction."""

    def __init__(self, link: Link, source: socket.socket, sink: socket.socket, fault: Fault) -> None:
        super().__init__(daemon=True)
        self.link, self.source, self.sink, self.fault = link, source, sink, fault
        self.left = fault.limit
        self.start()

    def run(self) -> None:
        try:
            if self.left == 0:
                return self._limit_reached()
            while chunk := self.source.recv(self._appetite()):
                self._pass_on(chunk)
                if self.left == 0:
                    return self._limit_reached()
            time.sleep(self.fault.slow_close)
            half_close(self.sink)
        except ConnectionError:
            self.link.break_off("reset")
            return None
        except OSError:
            return None
        self.link.direction_ended()
        return None

    def _appetite(self) -> int:
        size = 65536 if not self.fault.slices else self.fault.slices
        return size if self.left is None else min(size, self.left)

    def _pass_on(self, chunk: bytes) -> None:
        if self.fault.latency:
            time.sleep(self.fault.latency)
        if self.fault.bandwidth:
            time.sleep(len(chunk) / self.fault.bandwidth)
        self.sink.sendall(chunk)
        if self.left is not None:
            self.left -= len(chunk)

    def _limit_reached(self) -> None:
        if self.fault.then == "reset":
            flushed(self.sink)
        self.link.break_off(self.fault.then)
