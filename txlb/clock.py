"""A clock that never jumps.

Twisted's reactor tells the time of day, which an operator or NTP may set; timeouts and measured times need one that only
goes forward. And how work that takes long leaves the reactor its turns: the data path has no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

SLICE = 0.002
"""Seconds for which `in_slices` runs before the reactor gets its turn."""


@implementer(IReactorTime)
@frozen
class SteadyClock:
    """The reactor's delayed calls with the monotonic clock's seconds."""

    reactor: IReactorTime

    seconds = staticmethod(time.monotonic)  # no call in between: every connection asks several times

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:
        return self.reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        return self.reactor.getDelayedCalls()


def in_slices(clock: IReactorTime, steps: Iterable[object]) -> Deferred[None]:
    """Run these steps, a few milliseconds at a time and the first ones at once; fires when all are done, and fails as a
    step does. Cancelling drops what is left."""
    done: Deferred[None] = Deferred(lambda _: running.clear())
    running = [iter(steps)]
    _run_slice(clock, running, done)
    return done


def _run_slice(clock: IReactorTime, running: list[Iterator[object]], done: Deferred[None]) -> None:
    if not running:
        return  # cancelled
    until = clock.seconds() + SLICE
    try:
        for _ in running[0]:
            if clock.seconds() >= until:
                clock.callLater(0, _run_slice, clock, running, done)
                return
    except Exception:
        done.errback()
    else:
        done.callback(None)
