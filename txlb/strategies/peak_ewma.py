"""Peak EWMA: the backend with the least load, its time average by the connections it has. See `ewma`.

Quicker to leave a backend that turns slow than least-time is, and back to it within some ten seconds. Unlike Finagle,
which compares two at random (that is power-of-two with `load: peak-ewma`), this one takes the least of all.
"""

from __future__ import annotations

from math import exp, inf
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txlb.interfaces import IExplains, IObservesLoad, IObservesOutcome, IObservesTime, IStrategy, Measure
from txlb.strategies.ewma import PENALTY, TAU, Averages, PeakEwma
from txlb.strategies.ranked import Ranked


@implementer(IStrategy, IObservesLoad, IObservesTime, IObservesOutcome, IExplains)
@define(slots=False, eq=False)
class LeastPeakEwma(Averages, Ranked):
    """A pick, a change of load and a measured time are O(log n)."""

    clock: IReactorTime
    measure: Measure = field(default=Measure.FIRST_BYTE, metadata={"help": "what is timed, from the start of the dial"})
    _averages: dict[Any, PeakEwma] = field(init=False, factory=dict)

    def rebuild(self, backends: tuple) -> None:
        self._keep(backends)
        super().rebuild(backends)

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
        super()._observe(backend, seconds)
        self.changed(backend)

    def _entry(self, index: int) -> tuple[float, float, int]:
        backend = self._ranking.backends[index]
        load = self._averages[backend].log_load(backend.active, self._weights[index])
        return (load, self._turns.starts[index], index)


def _load(key: float, now: float) -> float:
    if key >= PENALTY:
        return inf
    return 100 * exp(key - now / TAU)
