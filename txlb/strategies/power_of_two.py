"""Power of two choices: two different backends are drawn at random by weight, the less loaded one wins.

Nearly as even as comparing all (the fullest of n has about ln ln n / ln 2 above the mean, where one draw gives ln n /
ln ln n), and many balancers that see old or partial loads do not herd onto the same one.
Sources: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996; HAProxy's `balance random(2)`.
"""

from __future__ import annotations

from collections.abc import Container
from math import exp
from random import Random
from typing import Any, Literal

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from zope.interface import alsoProvides, implementer

from txlb.interfaces import IExplains, IObservesOutcome, IObservesTime, IStrategy, Measure
from txlb.strategies.drawing import Urn
from txlb.strategies.ewma import TAU, Averages, PeakEwma


@implementer(IStrategy, IExplains)
@define(slots=False, eq=False)
class PowerOfTwo(Averages):
    """A pick is O(log n). Times are told only with `load: peak-ewma`."""

    clock: IReactorTime
    rng: Random
    load: Literal["connections", "peak-ewma"] = field(
        default="connections", metadata={"help": "what is compared: connections by weight, or peak EWMA's load"}
    )
    measure: Measure = field(default=Measure.FIRST_BYTE, metadata={"help": "what is timed, for `load: peak-ewma`"})
    _urn: Urn = field(init=False, factory=lambda: Urn(()))
    _averages: dict[Any, PeakEwma] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        if self.load == "peak-ewma":
            alsoProvides(self, IObservesTime, IObservesOutcome)

    def rebuild(self, backends: tuple) -> None:
        self._urn = Urn(backends)
        if self.load == "peak-ewma":
            self._keep(backends)

    def pick(self, client: object, exclude: Container = ()) -> Any:
        first = self._urn.draw(self.rng, exclude)
        if first is None:
            return None
        second = self._urn.draw(self.rng, exclude, other_than=first)
        if second is None or self._load(first) <= self._load(second):
            return first
        return second

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        """The load of each; two of them will be drawn."""
        ranked = sorted(((self._load(b), i, b) for i, b in enumerate(self._urn.backends)), key=lambda each: each[:2])
        return [
            (b, self._shown(load), f"wins against any drawn with it that has more; {b.active} connections")
            for load, _, b in ranked
        ]

    def _load(self, backend: Any) -> float:
        if self.load == "peak-ewma":
            return self._averages[backend].log_load(backend.active, backend.weight)
        return backend.active / backend.weight

    def _shown(self, load: float) -> float:
        if self.load == "peak-ewma":
            return 100 * exp(min(load - self.clock.seconds() / TAU, 700.0))
        return 100 * load
