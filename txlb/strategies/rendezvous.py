"""Rendezvous: every backend draws a number for the client, the highest wins.

The shares are exact, no table is kept, and only the clients of a backend that leaves move. The price is that each pick
looks at every backend: O(n), about 3 ms at 10,000 backends, so it is for pools of some dozens.
Source: Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996; with weights, `w / -ln(hash)`: Schindelhauer
and Schomaker, "Weighted Distributed Hash Tables", 2005.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from typing import Any

from attrs import define, field

from txlb.strategies.hashing import EXPLAINED, Hashing

_MASK = (1 << 64) - 1


def mix(a: int, b: int) -> int:
    """64 bits from two keyed hashes: the finalizer of MurmurHash3, in which every bit depends on all."""
    x = a ^ b
    x = ((x ^ (x >> 33)) * 0xFF51AFD7ED558CCD) & _MASK
    x = ((x ^ (x >> 33)) * 0xC4CEB9FE1A85EC53) & _MASK
    return x ^ (x >> 33)


@define(slots=False, eq=False, kw_only=True)
class Rendezvous(Hashing):
    """A pick is O(n). Within one weight the highest hash wins, so logarithms are taken of the winners only."""

    _groups: list[tuple[int, list[tuple[int, Any]]]] = field(init=False, factory=list)

    def build(self, backends: tuple) -> None:
        groups: dict[int, list[tuple[int, Any]]] = {}
        for backend in backends:
            groups.setdefault(backend.weight, []).append((self._hash_name(backend.name.encode()), backend))
        self._groups = list(groups.items())

    def walk(self, hashed: int) -> Iterator[Any]:
        """The winner first; who comes next is worked out only when it is asked for."""
        if self._groups:
            yield self._winner(hashed)
            yield from self._ranked(hashed)

    def scores(self, client: Any) -> list[tuple[Any, float, str]]:
        hashed = self.hash_client(client)
        drawn = {b: _drawn(mix(hashed, h), weight) for weight, group in self._groups for h, b in group}
        order = super().scores(client)
        return [
            (b, drawn[b], f"drew {drawn[b]:.4g} at weight {b.weight}; {why}" if place < EXPLAINED else why)
            for place, (b, _, why) in enumerate(order)
        ]

    def _winner(self, hashed: int) -> Any:
        best, winner = -1.0, None
        for weight, group in self._groups:
            top, backend = max((mix(hashed, h), i) for i, (h, _) in enumerate(group))
            score = _drawn(top, weight)
            if score > best:
                best, winner = score, group[backend][1]
        return winner

    def _ranked(self, hashed: int) -> list[Any]:
        drawn = [(-_drawn(mix(hashed, h), weight), b) for weight, group in self._groups for h, b in group]
        drawn.sort(key=lambda pair: pair[0])
        return [backend for _, backend in drawn]


def _drawn(hashed: int, weight: int) -> float:
    return weight / -log((hashed + 0.5) / 2.0**64)
