"""When a worker looks at what the others count: while it has connections or waits for a place, every `OFTEN` seconds; with
nothing to do seldom, because to wake up costs more than the look; and always before it lets somebody in, so that a
worker that was idle does not decide on old figures.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

OFTEN = 0.02
SELDOM = 0.25


class Ticking:
    """`beat()` shows that this process lives. `look()` looks, and returns whether there may be more to see soon."""

    def __init__(self, clock: IReactorTime, beat: Callable[[], object], look: Callable[[], bool]) -> None:
        self._clock = clock
        self._beat = beat
        self._look = look
        self._seen = 0.0
        self._seldom = False
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self._tick()

    def before_accepting(self) -> None:
        """Somebody may be let in now: look, unless that was done a moment ago."""
        now = self._clock.seconds()
        if now - self._seen >= OFTEN:
            self._seen = now
            self._look()
        if self._seldom and self._timer is not None:
            self._seldom = False
            self._timer.reset(OFTEN)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._beat()
        self._seen = self._clock.seconds()
        self._seldom = not self._look()
        self._timer = self._clock.callLater(SELDOM if self._seldom else OFTEN, self._tick)
