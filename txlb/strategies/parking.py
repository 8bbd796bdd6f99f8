"""Backends set aside because `exclude` holds them, so that a pick does not meet the same thousand full ones each time.

A structure that picks by its head takes an excluded head out and parks it. At each pick a few parked ones are looked at
again, and those no longer excluded go back: with at most `GLANCE` parked that is exact, with more each comes back within
`parked / GLANCE` picks, or at once when its load changes or when nothing is excluded.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import islice

GLANCE = 32
"""Parked entries looked at again in one pick."""


class Parking:
    """Indices that are set aside, in the order of arrival."""

    __slots__ = ("_indices",)

    def __init__(self) -> None:
        self._indices: dict[int, None] = {}

    def __bool__(self) -> bool:
        return bool(self._indices)

    def __contains__(self, index: int) -> bool:
        return index in self._indices

    def add(self, index: int) -> None:
        """Set it aside."""
        self._indices[index] = None

    def discard(self, index: int) -> None:
        """It has gone back, or has gone."""
        self._indices.pop(index, None)

    def returning(self, backends: tuple, exclude: Container) -> list[int]:
        """Those among the next few that are no longer excluded; they are parked no more."""
        if not exclude:
            back = list(self._indices)
            self._indices.clear()
            return back
        seen = list(islice(self._indices, GLANCE))
        back = [index for index in seen if backends[index] not in exclude]
        for index in back:
            del self._indices[index]
        if len(self._indices) > GLANCE:
            for index in seen:
                if self._indices.pop(index, self) is None:
                    self._indices[index] = None
        return back

    def all_returning(self, backends: tuple, exclude: Container) -> list[int]:
        """All that are no longer excluded: for when there is nothing else left."""
        back = [index for index in self._indices if backends[index] not in exclude]
        for index in back:
            del self._indices[index]
        return back
