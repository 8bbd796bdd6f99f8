"""The events, as they happen, to whoever keeps a connection open for them (server-sent events).

One hub subscribes to the bus and writes each event once; every stream gets the same bytes. What a slow consumer
has not taken waits in a bounded buffer, of states only the newest; one that falls behind further is dropped, and comes back
with the id of the last event that it saw. The hub remembers a few, so it misses nothing in between.

The end of a connection is told only to those who ask for it: with thousands a second nobody else wants to pay for it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from txlb import events
from txlb.admin.answers import Answer, Refusal
from txlb.admin.channel import AdminRequest
from txlb.events import ConnectionClosed, EventBus

log = Logger()

MOST_STREAMS = 32
MOST_WAITING = 512 * 1024
"""Bytes of events that may wait for one consumer, beside one state."""

REMEMBERED = 200
STATE_EVERY = 1.0
HEARTBEAT_EVERY = 15
"""In ticks of STATE_EVERY."""

STALLED = 30
"""Ticks for which a consumer may take nothing at all."""

RETRY_MS = 2000

KINDS: tuple[type, ...] = tuple(
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and kind.__module__ == events.__name__ and attrs.has(kind) and kind is not EventBus
)
"""Every class of events that there is."""


@frozen
class Wanted:
    """What a stream is to hold. `last_id` is that of the last event its consumer has seen, if any; `recent` how many
    of those remembered to begin with, where there is none."""

    state: bool = True
    connections: bool = False
    last_id: str = ""
    recent: int = 0


@implementer(IPushProducer)
@define(eq=False)
class Stream:
    """One consumer's connection."""

    request: AdminRequest
    wanted: Wanted
    taken: Callable[[Stream], object]
    _waiting: deque[bytes] = field(factory=deque)
    _size: int = 0
    _state: bytes = b""
    paused: bool = False
    paused_ticks: int = 0

    def send(self, data: bytes) -> None:
        """An event; waits while the consumer is busy. One that is too far behind is dropped."""
        if not self.paused:
            self.request.write(data)
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MOST_WAITING:
            self.drop("is too slow")

    def send_state(self, data: bytes) -> None:
        """A state; replaces one that waits."""
        if self.paused:
            self._state = data
        else:
            self.request.write(data)

    def drop(self, why: str) -> None:
        """Close the connection, at once."""
        if self.request.channel is not None:
            log.info("A consumer of events {why}; dropped", why=why)
            self.request.channel.abort()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused, self.paused_ticks = False, 0
        while self._waiting and not self.paused:
            data = self._waiting.popleft()
            self._size -= len(data)
            self.request.write(data)
        if self._state and not self.paused:
            data, self._state = self._state, b""
            self.request.write(data)

    def stopProducing(self) -> None:
        self.taken(self)


class Streams:
    """All consumers. `state()` is a Deferred of the state in JSON, on one line; `boot` tells this process's ids from
    another's; `now()` is the time of day."""

    def __init__(
        self,
        bus: EventBus,
        clock: IReactorTime,
        state: Callable[[], Deferred[bytes]],
        now: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._state = state
        self._now = now
        self._boot = f"{int(now() * 1000):x}"
        self._count = 0
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=REMEMBERED)
        self._streams: list[Stream] = []
        self._making_state = False
        self._ticks = 0
        self._ends = [bus.subscribe(kind, self._happened) for kind in KINDS if kind is not ConnectionClosed]
        self._end_connections: Callable[[], None] | None = None
        self._tick = LoopingCall(self._ticked)
        self._tick.clock = clock

    def __len__(self) -> int:
        return len(self._streams)

    def open(self, request: AdminRequest, wanted: Wanted) -> None:
        """Make a stream of this request. Raises Refusal when there are too many."""
        if len(self._streams) >= MOST_STREAMS:
            raise Refusal(503, f"there are {MOST_STREAMS} streams of events already", {"Retry-After": "5"})
        # No length; a proxy in between must not wait for more.
        head = Answer(b"", "text/event-stream; charset=utf-8", headers={"X-Accel-Buffering": "no"})
        request.send_head(head)
        request.responseHeaders.removeHeader("Content-Length")
        if request.method == b"HEAD":
            request.finish()
            return
        stream = Stream(request, wanted, self._gone)
        self._streams.append(stream)
        request.notifyFinish().addErrback(lambda _: self._gone(stream))
        request.registerProducer(stream, True)
        stream.send(b"retry: %d\n\n" % RETRY_MS)
        for data in self._missed(wanted):
            stream.send(data)
        self._follow()

    def stop(self) -> None:
        """Drop every consumer, and listen no more."""
        self.drop_all("must come again")
        for end in self._ends:
            end()

    def drop_all(self, why: str) -> None:
        """Have them come again: who may listen has changed."""
        for stream in tuple(self._streams):
            stream.drop(why)
            self._gone(stream)

    def _missed(self, wanted: Wanted) -> list[bytes]:
        recent = list(self._recent)
        if not wanted.last_id:
            return [data for _, data in recent[len(recent) - wanted.recent :]] if wanted.recent else []
        boot, _, number = wanted.last_id.partition("-")
        if boot != self._boot or not number.isascii() or not number.isdigit() or len(number) > 18:
            return [data for _, data in recent]
        return [data for ident, data in recent if int(ident.partition("-")[2]) > int(number)]

    def _gone(self, stream: Stream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._follow()

    def _follow(self) -> None:
        """Listen and tick exactly as long as somebody needs it."""
        connections = any(stream.wanted.connections for stream in self._streams)
        if connections and self._end_connections is None:
            self._end_connections = self._bus.subscribe(ConnectionClosed, self._closed)
        elif not connections and self._end_connections is not None:
            self._end_connections()
            self._end_connections = None
        if self._streams and not self._tick.running:
            self._tick.start(STATE_EVERY).addErrback(lambda failure: log.failure("The stream of states", failure))
        elif not self._streams and self._tick.running:
            self._tick.stop()

    def _happened(self, event: Any) -> None:
        data = self._frame(event)
        self._recent.append((f"{self._boot}-{self._count}", data))
        for stream in tuple(self._streams):
            stream.send(data)

    def _closed(self, event: ConnectionClosed) -> None:
        data = self._frame(event)
        for stream in tuple(self._streams):
            if stream.wanted.connections:
                stream.send(data)

    def _frame(self, event: Any) -> bytes:
        self._count += 1
        body = json.dumps({"time": round(self._now(), 3), **attrs.asdict(event)})
        return f"id: {self._boot}-{self._count}\nevent: {type(event).__name__}\ndata: {body}\n\n".encode()

    def _ticked(self) -> None:
        self._ticks += 1
        for stream in tuple(self._streams):
            stream.paused_ticks += stream.paused
            if stream.paused_ticks > STALLED:
                stream.drop("takes nothing")
            elif self._ticks % HEARTBEAT_EVERY == 0:
                stream.send(b":\n\n")
        if not self._making_state and any(stream.wanted.state for stream in self._streams):
            self._making_state = True
            self._state().addCallbacks(self._send_state, self._no_state)

    def _send_state(self, state: bytes) -> None:
        self._making_state = False
        data = b"event: state\ndata: " + state + b"\n\n"
        for stream in tuple(self._streams):
            if stream.wanted.state:
                stream.send_state(data)

    def _no_state(self, failure: Any) -> None:
        self._making_state = False
        log.failure("No state for the streams", failure)
