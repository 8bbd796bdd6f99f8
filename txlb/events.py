"""What happened, as frozen values, and the one place that hands them round.

Publishing is cheap where nobody listens: ask `wants` before making an event on a hot path. A subscriber that raises is
logged and does not disturb the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.logger import Logger

Event = TypeVar("Event")
log = Logger()


@define
class ConnectionClosed:
    """A client's connection is over. Not to be changed, like all events; it is no frozen class because one is made for
    each connection, and a frozen one takes five times as long to make. Times are seconds; `started` is wall-clock, the others are durations, None when
    it did not come so far. `backend` is empty when none was reached; `tries` counts dials; bytes are as read from the
    client (`bytes_in`) and from the backend (`bytes_out`)."""

    listener: str
    pool: str
    backend: str
    strategy: str
    client_host: str
    client_port: int
    outcome: str
    reason: str
    tries: int
    bytes_in: int
    bytes_out: int
    started: float
    connect: float | None
    first_byte: float | None
    duration: float


@frozen
class BackendUp:
    """Health: the backend answers again."""

    pool: str
    backend: str
    reason: str


@frozen
class BackendDown:
    """Health: the backend failed `fall` probes in a row."""

    pool: str
    backend: str
    reason: str


@frozen
class BackendEjected:
    """Traffic showed the backend to be bad; it is left out for `seconds`."""

    pool: str
    backend: str
    reason: str
    seconds: float


@frozen
class BackendReturned:
    """An ejection is over."""

    pool: str
    backend: str
    reason: str


@frozen
class BackendChanged:
    """An operator changed a backend: `what` is `admin` or `weight`, or it was `added` or `removed`; `by` says who."""

    pool: str
    backend: str
    what: str
    value: str
    by: str


@frozen
class Panic:
    """A pool went under its panic threshold (`on`), or came out of it."""

    pool: str
    on: bool
    eligible: int
    total: int


@frozen
class Reloaded:
    """A configuration was applied (`ok`), or found invalid and left alone."""

    ok: bool
    summary: str


@frozen
class AccessLogLost:
    """So many lines could not be written to the access log, for this `reason`."""

    lines: int
    reason: str


@frozen
class PluginFailed:
    """A strategy or a check raised, or returned nonsense. `reason` is one line; the traceback is in the log."""

    kind: str
    name: str
    reason: str


@define
class EventBus:
    """Hands each event to those who subscribed to its class."""

    _subscribers: dict[type, dict[object, Callable[[Any], None]]] = field(factory=dict)
    _callbacks: dict[type, tuple[Callable[[Any], None], ...]] = field(
        factory=dict
    )  # the same, ready to be gone through

    def subscribe(self, kind: type[Event], callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with each event of this class; returns a function that ends this one subscription."""
        callbacks, subscription = self._subscribers.setdefault(kind, {}), object()
        callbacks[subscription] = callback
        self._callbacks[kind] = tuple(callbacks.values())

        def end() -> None:
            callbacks.pop(subscription, None)
            self._callbacks[kind] = tuple(callbacks.values())

        return end

    def wants(self, kind: type) -> bool:
        """Whether anybody listens to events of this class."""
        return bool(self._callbacks.get(kind))

    def publish(self, event: object) -> None:
        """Hand the event to its subscribers, in the order in which they came."""
        for callback in self._callbacks.get(type(event), ()):
            try:
                callback(event)
            except Exception:
                log.failure("A subscriber to {kind} failed", kind=type(event).__name__)
