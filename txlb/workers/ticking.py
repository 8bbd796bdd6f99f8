"""When a worker looks at what the others count: before it lets somebody in, unless it has just done so; every `OFTEN`
seconds while somebody waits for what another worker may give back; else seldom, because to wake up costs far more than to
look.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

OFTEN = 0.02
SELDOM = 0.1


class Ticking:
    """`beat()` shows that this process lives. `look()` looks, and returns whether somebody waits for more."""

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
            if self._look():
                self.soon()

    def soon(self) -> None:
        """Somebody waits from now on."""
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
