"""Round robin: each in turn, as often as its weight says, evenly spread.

Source: nginx's smooth weighted round robin (`ngx_http_upstream_round_robin.c`), the same sequence to the pick.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from attrs import define, field
from zope.interface import implementer

from txlb.interfaces import IExplains, IStrategy
from txlb.strategies.schedule import ONE, Schedule, schedule


@implementer(IStrategy, IExplains)
@define(slots=False, eq=False)
class RoundRobin:
    """Smooth weighted round robin. A pick is O(distinct weights + log n), or O(log n) where there are many weights."""

    _schedule: Schedule = field(init=False, factory=lambda: schedule((), {}))

    def rebuild(self, backends: tuple) -> None:
        """Whoever stays is owed what it was owed before."""
        self._schedule = schedule(backends, self._schedule.owed())

    def pick(self, client: object, exclude: Container = ()) -> Any:
        return self._schedule.next(exclude)

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        """nginx's current weight as it would be compared at the next pick, in configured weights."""
        owed = self._schedule.owed()
        total = sum(backend.weight for backend in owed)
        current = {backend: owed[backend] * total / ONE + backend.weight for backend in owed}
        ranked = sorted(owed, key=lambda backend: -round(current[backend], 3))
        return [
            (
                backend,
                current[backend] / 100,
                f"current weight {current[backend] / 100:.4g} of {backend.weight / 100:g}",
            )
            for backend in ranked
        ]
