"""What least-time remembers of one backend: its mean time, when it was last used, what failed, what is unanswered.

The mean is nginx's: `.05 * value + .95 * mean`, of successes only, and it counts half for each whole period in which the
backend was not used, so that one that was slow is tried again. A failure says nothing about the time, yet it must not
leave the backend looking idle and fast: until something succeeds, and for at most one period, it counts as 5 seconds.
"""

from __future__ import annotations

from collections import deque

FAILED = 5.0
"""Seconds that a failure counts as (Linkerd's figure)."""

HALVINGS = 60
"""More halvings than this change nothing any more."""


class Timing:
    """Times are seconds on the clock that the caller reads."""

    __slots__ = ("_started", "_started_sum", "failed_until", "mean", "used")

    def __init__(self, now: float) -> None:
        self.mean: float | None = None
        self.used = now
        self.failed_until = now
        self._started: deque[float] = deque()
        self._started_sum = 0.0

    def time(self, now: float, period: float) -> float | None:
        """What it takes, as far as is known; None: not known."""
        time = self.mean
        if time is not None and (unused := now - self.used) >= period:
            time /= 2.0 ** min(unused // period, HALVINGS)
        if now < self.failed_until:
            time = FAILED if time is None else max(time, FAILED)
        if self._started and (waiting := self.waiting(now)) > 0:
            time = max(time or 0.0, waiting)
        return time

    def waiting(self, now: float) -> float:
        """How long what is unanswered has waited, on average."""
        return now - self._started_sum / len(self._started) if self._started else 0.0

    def picked(self, now: float, period: float, note_start: bool) -> None:
        """It is used from now on, so what it lost by disuse is settled."""
        self._settle(now, period)
        if note_start:
            self._started.append(now)
            self._started_sum += now

    def succeeded(self, now: float, period: float, seconds: float) -> None:
        """It took this long."""
        self._settle(now, period)
        self.mean = seconds if self.mean is None else 0.05 * seconds + 0.95 * self.mean
        self.failed_until = now
        self._answered()

    def failed(self, now: float, period: float) -> None:
        """It could not be reached, or broke off."""
        self.failed_until = now + period
        self._answered()

    def trim(self, active: int) -> None:
        """No more can be unanswered than are open."""
        while len(self._started) > active:
            self._answered()

    def due(self, now: float, period: float) -> float:
        """When `time` will next have changed noticeably by the mere passing of time."""
        due = self.used + ((now - self.used) // period + 1) * period
        if now < self.failed_until:
            due = min(due, self.failed_until)
        if self._started:
            half_as_much_again = now + 0.5 * max(self.waiting(now), self.time(now, period) or 0.0)
            due = min(due, max(half_as_much_again, now + 0.001))
        return due

    def _settle(self, now: float, period: float) -> None:
        if self.mean is not None and now - self.used >= period:
            self.mean /= 2.0 ** min((now - self.used) // period, HALVINGS)
        self.used = now

    def _answered(self) -> None:
        if self._started:
            self._started_sum -= self._started.popleft()
        if not self._started:
            self._started_sum = 0.0
