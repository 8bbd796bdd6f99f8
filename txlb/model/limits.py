"""Limits as counters that say no.

A `Gauge` counts what one process holds. Where several workers share a limit, another class of the same shape is handed
to the pool: its `take` writes only this worker's own column of shared memory, and locks only near the limit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol


class AnyGauge(Protocol):
    """What the pool needs of a gauge. `limit` of None lets everything through."""

    limit: int | None

    @property
    def value(self) -> int:
        """How much is taken now."""

    @property
    def own(self) -> int:
        """How much of that this object took."""

    def places(self) -> int:
        """How many may be taken in this turn of the reactor, for sure: where a limit is shared, places are set aside
        for that long."""

    def take(self) -> bool:
        """Count one more, unless that would go over the limit."""

    def give(self) -> None:
        """Give one back."""


MakeGauge = Callable[[str, int | None], AnyGauge]
"""(name, limit) to a gauge: the backend's name, or the empty text for the pool as a whole."""


class Gauge:
    """Counts in this process."""

    __slots__ = ("limit", "value")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.value = 0

    @property
    def own(self) -> int:
        """The same: nobody else counts here."""
        return self.value

    def places(self) -> int:
        """How many may be taken."""
        return sys.maxsize if self.limit is None else self.limit - self.value

    def take(self) -> bool:
        """Count one more and return True, or False where the limit is reached."""
        if self.limit is not None and self.value >= self.limit:
            return False
        self.value += 1
        return True

    def give(self) -> None:
        """Give one back; raises ValueError where none was taken."""
        if not self.value:
            raise ValueError("more given back than taken")
        self.value -= 1


class AnyClientCounts(Protocol):
    """What a listener needs of the counts for each client address."""

    limit: int | None

    def take(self, host: str) -> bool:
        """Count one more for this address, unless that would go over the limit."""

    def give(self, host: str) -> None:
        """Give one back."""


MakeClientCounts = Callable[[str], AnyClientCounts]
"""The listener's name to counts."""


class ClientCounts:
    """Counts for each client address, in memory bounded by the number of clients that hold something now."""

    __slots__ = ("_counts", "limit")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def value(self, host: str) -> int:
        """How many this address holds."""
        return self._counts.get(host, 0)

    def take(self, host: str) -> bool:
        """Count one more for this address and return True, or False where it is at its limit."""
        held = self._counts.get(host, 0)
        if self.limit is not None and held >= self.limit:
            return False
        self._counts[host] = held + 1
        return True

    def give(self, host: str) -> None:
        """Give one back; raises ValueError where this address holds none."""
        held = self._counts.get(host, 0)
        if not held:
            raise ValueError(f"more given back than taken by {host}")
        if held == 1:
            del self._counts[host]
        else:
            self._counts[host] = held - 1
