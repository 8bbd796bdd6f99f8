"""Round robin: each in turn, as often as its weight says, evenly spread.

Source: nginx's smooth weighted round robin (`ngx_http_upstream_round_robin.c`), the same sequence to the pick.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from attrs import define, field
from zope.interface import implementer

from txlb.interfaces import IExplains, IStrategy
from txlb.strategies.schedule import Schedule, schedule


@implementer(IStrategy, IExplains)
@define(slots=False, eq=False)
class RoundRobin:
    """Smooth weighted round robin. A pick is O(distinct weights + log n), or O(log n) where there are many weights."""

    _schedule: Schedule = field(init=False, factory=lambda: schedule((), {}))

    def rebuild(self, backends: tuple) -> None:
        """Everybody who stays keeps the credit earned so far."""
        self._schedule = schedule(backends, self._schedule.credits())

    def pick(self, client: object, exclude: Container = ()) -> Any:
        return self._schedule.next(exclude)

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        credits = self._schedule.credits()
        ranked = sorted(credits, key=lambda backend: -(credits[backend] + backend.weight))
        return [
            (backend, float(credits[backend] + backend.weight), f"credit {credits[backend]} + weight {backend.weight}")
            for backend in ranked
        ]
