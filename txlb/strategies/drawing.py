"""Drawing backends at random in proportion to their weights: one bisection of the cumulated weights a draw."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Container
from itertools import accumulate
from random import Random
from typing import Any

DRAWS = 32
"""Draws that may hit an excluded backend before the rest is listed and drawn from."""


class Urn:
    """Backends with their weights as of when it was made."""

    __slots__ = ("_cumulated", "_total", "backends")

    def __init__(self, backends: tuple) -> None:
        self.backends = backends
        self._cumulated = list(accumulate(backend.weight for backend in backends))
        self._total = self._cumulated[-1] if backends else 0

    def draw(self, rng: Random, exclude: Container = (), other_than: Any = None) -> Any:
        """One that is not excluded, nor `other_than`; None when there is none.

        O(log n); where nearly all the weight is excluded, O(n) to list what is left.
        """
        backends, cumulated, total = self.backends, self._cumulated, self._total
        if not total:
            return None
        for _ in range(DRAWS):
            backend = backends[bisect(cumulated, rng.random() * total)]
            if backend is not other_than and not (exclude and backend in exclude):
                return backend
        left = tuple(b for b in backends if b is not other_than and b not in exclude)
        return Urn(left).draw(rng) if left else None
