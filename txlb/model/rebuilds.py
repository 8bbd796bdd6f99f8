"""Long work in small slices, so that a table of a million slots never holds up a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SLICE = 0.005
"""Seconds for which steps run before the reactor gets its turn."""


class Rebuilds:
    """Runs the steps of one rebuild at a time; a newer one replaces an unfinished one."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._steps: Iterator[None] | None = None
        self._done: Callable[[], None] | None = None
        self._call: IDelayedCall | None = None

    @property
    def running(self) -> bool:
        """Whether there are steps left."""
        return self._steps is not None

    def start(self, steps: Iterator[None] | None, done: Callable[[], None]) -> None:
        """Run these steps, and `done` at their end: at once where there are none."""
        self.stop()
        if steps is None:
            done()
            return
        self._steps, self._done = steps, done
        self._call = self._clock.callLater(0, self._slice)

    def stop(self) -> None:
        """Drop what is unfinished; its `done` is not called."""
        if self._call is not None:
            self._call.cancel()
        self._call = self._steps = self._done = None

    def finish(self) -> None:
        """Run what is left at once: for the first table, before anybody is served."""
        steps, done = self._steps, self._done
        self.stop()
        if steps is not None and done is not None:
            for _ in steps:
                pass
            done()

    def _slice(self) -> None:
        self._call = None
        steps, done = self._steps, self._done
        if steps is None or done is None:
            return
        until = self._clock.seconds() + SLICE
        for _ in steps:
            if self._clock.seconds() >= until:
                self._call = self._clock.callLater(0, self._slice)
                return
        self._steps = self._done = None
        done()
