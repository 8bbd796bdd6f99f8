"""Ring hash: consistent hashing on a ring, 160 points for each unit of weight.

When a backend comes or goes only its share of the clients moves, and a change costs its own points only, whereas
maglev makes its whole table anew; maglev's shares are more even (here they differ by about 8 %, 1 / sqrt(160)).
Sources: Karger et al., "Consistent Hashing and Random Trees", 1997; libketama and nginx's `hash … consistent` (160 points).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from attrs import define, field

from txlb.strategies.hashing import Hashing
from txlb.strategies.ring import Ring

POINTS = 160
"""Points for each unit of weight (100 of effective weight)."""

LARGEST = 2_000_000
"""Points on a ring at most; above, all backends get half as many, or a quarter …"""

AT_ONCE = 400
"""Points put on or taken off in one step: less than a millisecond."""

FEW = 2_000
"""Points that may be changed without steps."""

_PER_DIGEST = 8

_Change = tuple[Any, int, int]


@define(slots=False, eq=False, kw_only=True)
class RingHash(Hashing):
    """A pick is O(log points of an arc); a change is O(points of the backends that changed)."""

    _ring: Ring = field(init=False, factory=Ring)
    _counts: dict[Any, int] = field(init=False, factory=dict)

    def build(self, backends: tuple) -> Iterator[None] | None:
        counts = _counts(backends)
        steps = self._steps(backends, counts)
        if sum(self._counts.values()) + sum(counts.values()) > FEW:
            return steps
        for _ in steps:
            pass
        return None

    def walk(self, hashed: int) -> Iterator[Any]:
        return self._ring.walk(hashed)

    def _steps(self, backends: tuple, counts: dict[Any, int]) -> Iterator[None]:
        less, more = _differences(self._counts, counts)
        yield
        if 4 * sum(stop - start for _, start, stop in less + more) > sum(counts.values()):
            ring = Ring()
            for backend, count in counts.items():
                yield from self._change(ring.append, backend, 0, count)
            yield from ring.sort()
        else:
            ring = self._ring.copy()
            for change in less:
                yield from self._change(ring.remove, *change)
            for change in more:
                yield from self._change(ring.add, *change)
        if self._offered is backends:
            self._ring, self._counts = ring, counts

    def _change(self, change: Any, backend: Any, start: int, stop: int) -> Iterator[None]:
        """Put on or take off the backend's points from one number to another."""
        for number in range(start, stop, AT_ONCE):
            change(backend, self._points(backend.name, number, min(number + AT_ONCE, stop)))
            yield

    def _points(self, name: str, start: int, stop: int) -> list[int]:
        first, last = start // _PER_DIGEST, -(-stop // _PER_DIGEST)
        key = self._ring_key
        points: list[int] = []
        for number in range(first, last):
            digest = blake2b(f"{name}\0{number}".encode(), key=key, person=b"ring").digest()
            points += struct.unpack(">8Q", digest)
        skipped = first * _PER_DIGEST
        return points[start - skipped : stop - skipped]

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._ring_key = blake2b(str(self.seed).encode(), digest_size=32).digest()


def _counts(backends: tuple) -> dict[Any, int]:
    """How many points each has. A count depends on the backend's own weight and, coarsely, on the sum of all."""
    total = POINTS * sum(backend.weight for backend in backends) // 100
    scale = 100
    while total * 100 > LARGEST * scale:
        scale *= 2
    return {backend: max(1, POINTS * backend.weight // scale) for backend in backends}


def _differences(before: dict[Any, int], after: dict[Any, int]) -> tuple[list[_Change], list[_Change]]:
    """Which points go and which come: (backend, from this number, to that one)."""
    less = [(b, after.get(b, 0), count) for b, count in before.items() if after.get(b, 0) < count]
    more = [(b, before.get(b, 0), count) for b, count in after.items() if before.get(b, 0) < count]
    return less, more
