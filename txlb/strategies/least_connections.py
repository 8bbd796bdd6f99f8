"""Least connections: the backend with the fewest connections for its weight.

Compares connections / weight, as nginx does (`ngx_http_upstream_least_conn_module.c`). Equals take turns by weight, so
an idle pool is served in rotation and never always by the same backend.
"""

from __future__ import annotations

from typing import Any

from attrs import define
from zope.interface import implementer

from txlb.interfaces import IExplains, IObservesLoad, IStrategy
from txlb.strategies.ranked import Ranked


@implementer(IStrategy, IObservesLoad, IExplains)
@define(slots=False, eq=False)
class LeastConnections(Ranked):
    """A pick and a change of load are O(log n)."""

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        backends = self._ranking.backends
        ranked = sorted(self._entry(index) for index in range(len(backends)))
        return [
            (backends[index], load * 100, f"{backends[index].active} connections at weight {self._weights[index]}")
            for load, _, index in ranked
        ]

    def _entry(self, index: int) -> tuple[float, float, int]:
        load = self._ranking.backends[index].active / self._weights[index]
        return (load, self._turns.starts[index], index)
