"""One log line for each change of a backend's state, with its reason."""

from __future__ import annotations

from twisted.logger import Logger

from txlb.events import BackendDown, BackendEjected, BackendReturned, BackendUp, EventBus, Panic
from txlb.units import format_duration

log = Logger()


def log_states(bus: EventBus) -> None:
    """Write what this bus tells of backends and pools from now on."""
    bus.subscribe(BackendUp, _up)
    bus.subscribe(BackendDown, _down)
    bus.subscribe(BackendEjected, _ejected)
    bus.subscribe(BackendReturned, _returned)
    bus.subscribe(Panic, _panic)


def _up(event: BackendUp) -> None:
    log.info("{pool}: {backend} is up: {reason}", pool=event.pool, backend=event.backend, reason=event.reason)


def _down(event: BackendDown) -> None:
    log.warn("{pool}: {backend} is down: {reason}", pool=event.pool, backend=event.backend, reason=event.reason)


def _ejected(event: BackendEjected) -> None:
    log.warn(
        "{pool}: {backend} is left out for {duration}: {reason}",
        pool=event.pool,
        backend=event.backend,
        duration=format_duration(event.seconds),
        reason=event.reason,
    )


def _returned(event: BackendReturned) -> None:
    log.info("{pool}: {backend} is back: {reason}", pool=event.pool, backend=event.backend, reason=event.reason)


def _panic(event: Panic) -> None:
    words = "so few are eligible that all are used" if event.on else "enough are eligible again"
    log.warn(
        "{pool}: {eligible} of {total} backends: {words}",
        pool=event.pool,
        eligible=event.eligible,
        total=event.total,
        words=words,
    )
