"""Source hash: the client's hash divided by the sum of weights; the remainder names the backend.

The simplest way to keep a client on its backend, and exact in its shares, but nearly every client moves when a backend
comes or goes: use maglev or ring-hash where that matters. Source: HAProxy's `balance source` with `hash-type map-based`.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from attrs import define, field

from txlb.strategies.hashing import Hashing

ATTEMPTS = 64
"""Times that a key is hashed again because its backend is excluded."""


@define(slots=False, eq=False, kw_only=True)
class SourceHash(Hashing):
    """A pick is O(log n)."""

    _backends: tuple = field(init=False, default=())
    _cumulated: list[int] = field(init=False, factory=list)

    def build(self, backends: tuple) -> None:
        self._backends = backends
        self._cumulated = list(accumulate(backend.weight for backend in backends))

    def walk(self, hashed: int) -> Iterator[Any]:
        """The remainder's backend first, then those of the same key hashed again and again."""
        if self._backends:
            for attempt in range(ATTEMPTS):
                yield self._backends[bisect(self._cumulated, hashed % self._cumulated[-1])]
                hashed = self._hash_name(hashed.to_bytes(8) + attempt.to_bytes(4))
