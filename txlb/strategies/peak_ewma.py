"""Peak EWMA: the backend with the least load, its time average by the connections it has. See `ewma`.

Quicker to leave a backend that turns slow than least-time is, and back to it within some ten seconds. Unlike Finagle,
which compares two at random (that is power-of-two with `load: peak-ewma`), this one takes the least of all.
"""

from __future__ import annotations

from collections.abc import Container
from math import exp, inf
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txlb.interfaces import IExplains, IObservesLoad, IObservesOutcome, IObservesTime, IStrategy, Measure
from txlb.strategies.ewma import FAILED, FAILURES, PENALTY, TAU, PeakEwma
from txlb.strategies.ranking import Ranking
from txlb.strategies.turns import Turns


@implementer(IStrategy, IObservesLoad, IObservesTime, IObservesOutcome, IExplains)
@define(slots=False, eq=False)
class LeastPeakEwma:
    """A pick, a change of load and a measured time are O(log n)."""

    clock: IReactorTime
    measure: Measure = field(default=Measure.FIRST_BYTE, metadata={"help": "what is timed, from the start of the dial"})
    _averages: dict[Any, PeakEwma] = field(init=False, factory=dict)
    _ranking: Ranking = field(init=False, factory=lambda: Ranking(()))
    _turns: Turns = field(init=False, factory=lambda: Turns((), {}))
    _weights: list[int] = field(init=False, factory=list)

    def rebuild(self, backends: tuple) -> None:
        before = self._averages
        self._averages = {backend: before.get(backend) or PeakEwma() for backend in backends}
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

    def measured(self, backend: Any, what: str, seconds: float) -> None:
        if what == self.measure:
            self._observe(backend, seconds)

    def released(self, backend: Any, outcome: str) -> None:
        if outcome in FAILURES:
            self._observe(backend, FAILED)

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        now = self.clock.seconds()
        backends = self._ranking.backends
        ranked = sorted(self._entry(index) for index in range(len(backends)))
        return [(backends[index], _load(key, now), self._why(index, now)) for key, _, index in ranked]

    def _why(self, index: int, now: float) -> str:
        backend = self._ranking.backends[index]
        average = self._averages[backend]
        known = f"{average.read(now) * 1000:.3g} ms" if average.average else "no time known yet"
        return f"{known}, {backend.active} connections at weight {self._weights[index]}"

    def _observe(self, backend: Any, seconds: float) -> None:
        average = self._averages.get(backend)
        if average is not None:
            average.observe(self.clock.seconds(), seconds)
            self._ranking.put(self._entry(self._ranking.index[backend]))

    def _entry(self, index: int) -> tuple[float, float, int]:
        backend = self._ranking.backends[index]
        load = self._averages[backend].log_load(backend.active, self._weights[index])
        return (load, self._turns.starts[index], index)


def _load(key: float, now: float) -> float:
    if key >= PENALTY:
        return inf
    return 100 * exp(key - now / TAU)
