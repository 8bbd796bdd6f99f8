"""One backend as it really is: how it works, and what it saw. All balancers send to the same servers."""

from __future__ import annotations

from array import array
from heapq import heapreplace

from txlb.simulate.service import Service


class Server:
    """`places` connections are served at once, first come first served; 0: as many as come.

    `active` counts what is here from all balancers, waiting or served. For the report: `count` connections, their
    `responses` in seconds, `refused` attempts, the `peak` of `active`, and `gap`, the most arrivals in a row
    that all went elsewhere while it was offered (`last`: the arrival from which on that is counted).
    """

    __slots__ = (
        "_free",
        "_offered_at",
        "_quantile",
        "_slow",
        "active",
        "count",
        "failing",
        "gap",
        "last",
        "name",
        "offered_for",
        "peak",
        "refused",
        "responses",
        "weight",
    )

    def __init__(self, name: str, weight: int, service: Service, places: int, recorded: bool) -> None:
        self.name = name
        self.weight = weight
        self.failing = service.failing
        self._slow = service.slow
        self._quantile = None if recorded else service.quantile
        self._free = [0.0] * places
        self._offered_at: float | None = None
        self.offered_for = 0.0
        self.active = 0
        self.count = 0
        self.refused = 0
        self.peak = 0
        self.gap = 0
        self.last = 0
        self.responses = array("d")

    def admit(self, now: float, work: float, arrival: int) -> float:
        """Take a connection; when it will be done."""
        gap = arrival - self.last
        if gap > self.gap:
            self.gap = gap
        self.last = arrival
        self.count += 1
        self.active += 1
        if self.active > self.peak:
            self.peak = self.active
        if self._quantile is not None:
            work = self._quantile(work)
        free = self._free
        if not free:
            done = now + work * self._slow
        else:
            begin = free[0]
            done = (begin if begin > now else now) + work * self._slow
            heapreplace(free, done)
        self.responses.append(done - now)
        return done

    def offer(self, now: float, arrival: int, offered: bool) -> None:
        """From now on it is offered to strategies, or no longer."""
        if self._offered_at is not None:
            self.offered_for += now - self._offered_at
            self.gap = max(self.gap, arrival - self.last)
        if offered and self._offered_at is None:
            self.last = arrival
        self._offered_at = now if offered else None
