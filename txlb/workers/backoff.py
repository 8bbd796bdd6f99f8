"""How long to wait before a worker that ended is replaced.

One that ended for once is replaced at once; those that end again and again wait longer each time, so that a fault that
is met at every start does not keep the machine busy with starting.
"""

from __future__ import annotations

from attrs import define

FIRST = 0.25
LONGEST = 10.0
STEADY = 30.0
"""Seconds of life after which the past is forgotten."""


@define
class Backoff:
    """For one worker."""

    _next: float = 0.0

    def after(self, lived: float) -> float:
        """Seconds to wait, where the last one lived for so long."""
        if lived >= STEADY:
            self._next = 0.0
        delay = self._next
        self._next = min(LONGEST, max(FIRST, delay * 2))
        return delay
