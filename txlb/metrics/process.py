"""How late the event loop is. A call that is due every quarter of a second, and how late it comes, shows what a connection
waits for when the loop is busy with something else."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from txlb.model.histogram import Histogram

EVERY = 0.25
"""Seconds between two samples: some 10 µs of work, four times a second."""


class LoopLag:
    """`times` has the samples, `worst` the latest of them since it was last taken."""

    def __init__(self, clock: IReactorTime) -> None:
        self.times = Histogram()
        self._worst = 0.0
        self._clock = clock
        self._due = 0.0
        self._call: Any = None

    def start(self) -> None:
        """Begin to sample."""
        self._due = self._clock.seconds() + EVERY
        self._call = self._clock.callLater(EVERY, self._sample)

    def stop(self) -> None:
        """Sample no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def take_worst(self) -> float:
        """The worst sample, in seconds, since this was last asked."""
        worst, self._worst = self._worst, 0.0
        return worst

    def _sample(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        self.times.add(late)
        self._worst = max(self._worst, late)
        self.start()
