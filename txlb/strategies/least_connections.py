"""Least connections: the backend with the fewest connections for its weight.

Compares connections / weight, as nginx does (`ngx_http_upstream_least_conn_module.c`). Equals take turns by weight, so
an idle pool is served in rotation and never always by the same backend.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from attrs import define, field
from zope.interface import implementer

from txlb.interfaces import IExplains, IObservesLoad, IStrategy
from txlb.strategies.ranking import Ranking
from txlb.strategies.turns import Turns


@implementer(IStrategy, IObservesLoad, IExplains)
@define(slots=False, eq=False)
class LeastConnections:
    """A pick and a change of load are O(log n)."""

    _ranking: Ranking = field(init=False, factory=lambda: Ranking(()))
    _turns: Turns = field(init=False, factory=lambda: Turns((), {}))
    _weights: list[int] = field(init=False, factory=list)

    def rebuild(self, backends: tuple) -> None:
        self._turns = Turns(backends, self._turns.ahead(self._ranking.backends))
        self._weights = [backend.weight for backend in backends]
        self._ranking = Ranking(backends)
        self._ranking.fill([self._entry(index) for index in range(len(backends))])

    def pick(self, client: object, exclude: Container = ()) -> Any:
        best = self._ranking.best(exclude)
        if best is None:
            return None
        load, _, index = best
        self._ranking.replace_best((load, self._turns.take(index), index))
        return self._ranking.backends[index]

    def changed(self, backend: Any) -> None:
        index = self._ranking.index.get(backend)
        if index is not None:
            self._ranking.put(self._entry(index))

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
