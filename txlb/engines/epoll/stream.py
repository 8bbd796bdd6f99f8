"""The hot path: bytes from one socket to the other.

A `Stream` is one socket. Two of them that are linked are each other's `peer`. A message costs one `read` and one
`write`; every line of `ready` and `_pump` is paid for by each of them, so what is rare is kept in other methods.

*Edges.* A socket is registered once, for everything, edge-triggered: the set says that something changed, not how things
are. So the state is kept here, and each rule guards against one way to hang for ever or to lose bytes:

- `readable`: something may be in the kernel, and we chose not to read it (paused, or the peer is full). Whoever removes
  the reason goes on reading. While the peer is full nothing is read, so the kernel's buffers are the only queue, and the
  buffer of `outbox` is at most one read.
- A short read means that the socket is drained, which saves the read that would only say EAGAIN; but not on a UNIX socket,
  not beside urgent data, and not where the end was announced. `to_end` says so: read until EAGAIN, EOF or an error.
- After `TURNS` reads the others have their turn: `rearm` has the rest reported again. As many full ones, now or earlier,
  and the stream is spliced from then on, for else it would depend on luck: whoever reads as fast as the sender sends never
  meets them in a row, and goes on copying.

*Endings.* The two directions end apart.

- EOF is told (`readConnectionLost`) once everything before it was taken by the kernel for the other side. Nothing is read
  while the peer is full, so EOF cannot even be seen before that.
- A reset is `broken`, remembered from ERR, ECONNRESET or EPIPE, because `write` consumes the socket's error and the next
  `read` then looks like a clean end. It may be told once everything that came before it was read; what the peer's kernel
  does not take at that time waits in the peer's `outbox`, for a peer that never reads must not keep the pair for ever.
- A failed `write` makes that stream `mute`: its direction is over, but what it sent is still read and handed on.
- `lose` is the one way out. It parts the two, so that nobody writes to a number that now is somebody else's socket.
"""

from __future__ import annotations

import errno
from os import close as close_descriptor
from os import read, write
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from txlb.engines.epoll.loop import EDGE, ERR, HUP, IN, OUT, PRI, RDHUP
from txlb.engines.epoll.pipes import Pipe

if TYPE_CHECKING:
    from txlb.engines.epoll.loop import Loop

SIZE = 32768
"""Bytes read at once, and the most that waits in this process for one direction. More would leave the cache."""

TURNS = 8
"""Reads of one stream before the others have their turn; and full ones, in however many turns, before it is spliced."""

BULK_TURN = 131072
"""Bytes of one stream after which the others have their turn, a pipe at most beyond: 32 events make 6 ms then. With
four times as much it was 14 ms, and a third more per byte over 64 connections."""

WATCH = IN | PRI | OUT | RDHUP | EDGE
UNUSUAL = PRI | ERR | HUP | RDHUP
READ = IN | UNUSUAL

DONE = Failure(ConnectionDone("Connection was closed cleanly."))
LOST = Failure(ConnectionLost("Connection was reset."))
ABORTED = Failure(ConnectionAborted())

EMPTY: Any = ()


class Stream:
    """One socket. `outbox` holds what was taken for it and the kernel has not accepted: buffers, and pipes."""

    __slots__ = (
        "broken",
        "bulk",
        "closed",
        "closing",
        "ended",
        "fd",
        "full_reads",
        "half_closing",
        "loop",
        "mute",
        "outbox",
        "peer",
        "protocol",
        "readable",
        "reading",
        "received",
        "sock",
        "to_end",
        "unix",
        "untold",
    )

    def __init__(self, loop: Loop, fd: int, sock: Any, unix: bool) -> None:
        self.loop = loop
        self.fd = fd
        self.sock = sock
        self.unix = self.to_end = unix
        self.protocol: Any = None
        self.peer: Any = None
        self.outbox = EMPTY
        self.received = 0
        self.reading = True
        self.full_reads = 0
        self.readable = self.untold = self.bulk = False
        self.ended = self.broken = self.mute = self.half_closing = self.closing = self.closed = False

    def ready(self, mask: int) -> None:
        """What the set reports of this socket."""
        if mask & UNUSUAL:
            self.to_end = True
            if mask & ERR:
                self.broken = True
        if mask & OUT and self.outbox:
            self._flush()
        if mask & READ:
            self._pump()

    def proceed(self) -> None:
        """Read again: the reason not to may be gone."""
        self._pump()

    def _pump(self) -> None:  # noqa: C901 - one function, since each call would be paid for by every message
        peer = self.peer
        if not self.reading or peer is None or peer.outbox or peer.mute or self.bulk:
            self._hold()
            return
        fd, target, turns = self.fd, peer.fd, TURNS
        while True:
            try:
                data = read(fd, SIZE)
            except BlockingIOError:
                self._drained()
                return
            except OSError:
                self._read_failed()
                return
            count = len(data)
            if not count:
                self._at_end()
                return
            if self.untold:
                self.untold = False
                self.protocol.firstByte()
            self.received += count
            try:
                sent = write(target, data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.readable = True
                peer._write_failed(error)
                return
            if sent < count:
                self._store(peer, data, sent)
                return
            if count == SIZE:
                self.full_reads += 1
            elif not self.to_end:
                self.readable = False
                return
            turns -= 1
            if not turns or self.full_reads == TURNS:
                self.readable = True
                self.bulk = self.full_reads == TURNS
                self.loop.rearm(fd, WATCH)
                return

    def _hold(self) -> None:
        """Something is there that cannot be handed on now."""
        self.readable = True
        if not self.reading:
            if self.broken or self.mute:
                self.lose(LOST)
        elif self.peer is None:
            self._deliver()
        elif self.peer.outbox or self.peer.mute:
            if self.broken:
                self._salvage()
        else:
            self._splice(self.peer)

    def _splice(self, peer: Stream) -> None:
        """Full reads one after the other: let the kernel move the pages."""
        pipe = self.loop.pipes.take()
        if pipe is None:
            self.bulk, self.full_reads = False, 0
            self._pump()
            return
        fd, moved = self.fd, 0
        try:
            while moved < BULK_TURN:
                count = pipe.fill(fd)
                if not count:
                    self._at_end()
                    return
                moved += count
                self.received += count
                try:
                    pipe.send(peer.fd)
                except OSError as error:
                    peer._write_failed(error)
                    return
                if pipe.left:
                    self._store_pipe(peer, pipe)
                    pipe = None
                    return
        except BlockingIOError:
            self._ran_dry(moved)
        except OSError:
            self._read_failed()
        else:
            self.loop.rearm(fd, WATCH)
        finally:
            if pipe is not None:
                pipe.release()

    def _ran_dry(self, moved: int) -> None:
        if moved < SIZE:  # no longer in bulk: what comes now is copied again
            self.bulk, self.full_reads = False, 0
        self._drained()

    def _store_pipe(self, peer: Stream, pipe: Pipe) -> None:
        peer.outbox = [pipe]
        if self.broken:
            self._salvage()

    def _deliver(self) -> None:
        """Not linked: what is read goes to the Protocol."""
        turns = TURNS
        while self.reading and self.peer is None:
            try:
                data = read(self.fd, SIZE)
            except BlockingIOError:
                self._drained()
                return
            except OSError:
                self._read_failed()
                return
            if not data:
                self._at_end()
                return
            self.received += len(data)
            if len(data) < SIZE and not self.to_end:
                self.readable = False
                self.protocol.dataReceived(data)
                return
            self.protocol.dataReceived(data)
            turns -= 1
            if not turns and self.reading:
                self.loop.rearm(self.fd, WATCH)
                return

    def _store(self, peer: Stream, data: bytes, sent: int) -> None:
        """The peer's kernel took `sent` of `data`; the peer goes on when it is writable."""
        peer.outbox = [memoryview(data)[sent:]]
        self.readable = True
        if self.broken:
            self._salvage()

    def _salvage(self) -> None:
        """Reset, and the peer is full: keep what is left, which is at most a receive buffer, and say so now."""
        peer = self.peer
        while not peer.mute:
            try:
                data = read(self.fd, SIZE)
            except OSError:
                break
            if not data:
                break
            self.received += len(data)
            peer.outbox.append(data)
        self.lose(LOST)

    # What the kernel says beside bytes

    def _drained(self) -> None:
        self.readable = False
        self.to_end = self.unix
        if self.broken:
            self.lose(LOST)

    def _read_failed(self) -> None:
        self.broken = True
        self.lose(LOST)

    def _write_failed(self, error: OSError) -> None:
        """This socket takes no more. On a UNIX socket EPIPE alone does not say that nothing more is to be read."""
        self.mute = True
        self.broken = self.broken or not (self.unix and error.errno == errno.EPIPE)
        self._drop_outbox()
        self.to_end = self.readable = True
        self.loop.again(self)

    def _at_end(self) -> None:
        self.reading = self.readable = False
        self.ended = True
        if self.broken or self.mute:
            self.lose(LOST)
        elif self.peer is not None:
            self.protocol.readConnectionLost()
        else:
            self._tell_end()

    def _tell_end(self) -> None:
        """Not linked: what the end means is the Protocol's choice."""
        raise NotImplementedError

    # Writing

    def _flush(self) -> None:
        outbox = self.outbox
        while outbox:
            head = outbox[0]
            try:
                sent = head.send(self.fd) if head.__class__ is Pipe else write(self.fd, head)
            except BlockingIOError:
                return
            except OSError as error:
                self._write_failed(error)
                return
            if head.__class__ is Pipe:
                if head.left:
                    return
                head.release()
            elif sent < len(head):
                outbox[0] = memoryview(head)[sent:]
                return
            del outbox[0]
        self.outbox = EMPTY
        self._flushed()

    def _flushed(self) -> None:
        if self.half_closing:
            self._shut()
        if self.closing:
            self.lose(DONE)
            return
        peer = self.peer
        if peer is not None and peer.readable:
            peer._pump()

    def _shut(self) -> None:
        raise NotImplementedError

    def _drop_outbox(self) -> None:
        dropped, self.outbox = self.outbox, EMPTY
        for item in dropped:
            if item.__class__ is Pipe:
                item.release()

    # The way out

    def lose(self, reason: Failure) -> None:
        """Over: after the batch the descriptor is closed and the Protocol told."""
        if self.closed:
            return
        self.closed = True
        self.reading = False
        if self.outbox:
            self._drop_outbox()
        peer = self.peer
        if peer is not None:
            self.peer = peer.peer = None
            peer.reading = False
            if peer.broken or peer.mute:
                peer.lose(LOST)
        self.loop.bury(self, reason)

    def buried(self, reason: Failure) -> None:
        """The batch is over: nothing in it can be mistaken for an event of the next user of this number."""
        sock, self.sock = self.sock, None
        if sock is None:
            close_descriptor(self.fd)
        else:
            sock.close()
        self.fd = -1
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)
