"""Times counted in fixed, log-spaced buckets: one bisect and one increment a sample, no floats kept.

The bounds are the same for every histogram, so that those of workers and of backends can be added up slot by slot.
"""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (
    *(factor * 10.0**power for power in range(-4, 2) for factor in (1, 2, 5)),
    100.0,
    300.0,
    1000.0,
    3600.0,
)
"""Upper bounds in seconds, inclusive: 100 µs to 50 s in steps of 1, 2, 5, then up to an hour; one more slot is open."""

_SMOOTHING = 0.1


class Histogram:
    """`counts[i]` samples were at most `BOUNDS[i]` seconds and above the bound before; the last slot has the rest.

    `total` is the sum of all samples in seconds, `recent` their exponentially smoothed mean, None before the first.
    """

    __slots__ = ("counts", "recent", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.recent: float | None = None

    def add(self, seconds: float) -> None:
        """Count one sample."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds
        recent = self.recent
        self.recent = seconds if recent is None else recent + (seconds - recent) * _SMOOTHING

    @property
    def recent_ms(self) -> float | None:
        """The smoothed mean in milliseconds, for people."""
        return None if self.recent is None else round(self.recent * 1000, 3)
