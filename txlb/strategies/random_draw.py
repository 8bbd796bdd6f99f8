"""Random: each backend with the probability that its weight has in the sum of weights.

Needs no state and no coordination: many balancers that do not know each other load evenly together. The spread is that
of throwing balls into bins: with n backends and n connections the fullest has about ln n / ln ln n.
"""

from __future__ import annotations

from collections.abc import Container
from random import Random
from typing import Any

from attrs import define, field
from zope.interface import implementer

from txlb.interfaces import IExplains, IStrategy
from txlb.strategies.drawing import Urn


@implementer(IStrategy, IExplains)
@define(slots=False, eq=False)
class WeightedRandom:
    """A pick is O(log n)."""

    rng: Random
    _urn: Urn = field(init=False, factory=lambda: Urn(()))

    def rebuild(self, backends: tuple) -> None:
        self._urn = Urn(backends)

    def pick(self, client: object, exclude: Container = ()) -> Any:
        return self._urn.draw(self.rng, exclude)

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        ranked = sorted(self._urn.backends, key=lambda backend: -backend.weight)
        total = sum(backend.weight for backend in ranked)
        return [(b, b.weight / total, f"drawn with probability {b.weight / total:.4g}") for b in ranked]
