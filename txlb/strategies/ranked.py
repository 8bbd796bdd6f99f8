"""What strategies share that pick the least loaded of all: a ranking by load, in which equals take turns by weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container
from typing import Any

from attrs import define, field

from txlb.strategies.ranking import Ranking
from txlb.strategies.turns import Turns


@define(slots=False, eq=False)
class Ranked(ABC):
    """A pick and a change of load are O(log n). A strategy of this kind says in `_entry` what a backend has to bear."""

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

    @abstractmethod
    def _entry(self, index: int) -> tuple[float, float, int]:
        """(load, turn, index) of this backend."""
