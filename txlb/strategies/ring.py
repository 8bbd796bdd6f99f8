"""A ring of hashed points: whoever has the first point at or after a client's hash serves it.

The ring is cut into `ARCS` equal arcs, each a short sorted array, so that a backend comes or goes with its own points
only, whatever the size of the ring. The result depends on who is on the ring, not on the order in which they came.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

ARCS = 4096
_SHIFT = 52  # 64 bits less the 12 that number the arcs


class Ring:
    """Points of 64 bits and who they belong to."""

    __slots__ = ("_arcs", "_owners", "_shared", "size")

    def __init__(self) -> None:
        self._arcs: list[array] = [array("Q") for _ in range(ARCS)]
        self._owners: list[list[Any]] = [[] for _ in range(ARCS)]
        self._shared: set[int] = set()
        self.size = 0

    def copy(self) -> Ring:
        """Shares each arc with this one until `add` or `remove` on the copy changes it. This one stays as it is."""
        copy = Ring.__new__(Ring)
        copy._arcs, copy._owners = self._arcs[:], self._owners[:]
        copy._shared = set(range(ARCS))
        copy.size = self.size
        return copy

    def append(self, owner: Any, points: list[int]) -> None:
        """As `add`, for many owners in a row: the ring is in disorder until `sort` is done."""
        arcs, all_owners = self._arcs, self._owners
        for point in points:
            number = point >> _SHIFT
            arcs[number].append(point)
            all_owners[number].append(owner)
        self.size += len(points)

    def sort(self) -> Iterator[None]:
        """Bring what was appended into order; yields after each step."""
        for number in range(ARCS):
            arc, owners = self._arcs[number], self._owners[number]
            order = sorted(range(len(arc)), key=arc.__getitem__)
            self._arcs[number] = array("Q", [arc[place] for place in order])
            self._owners[number] = [owners[place] for place in order]
            if number % 8 == 7:
                yield

    def add(self, owner: Any, points: Iterable[int]) -> None:
        """These points are the owner's from now on."""
        for point in points:
            arc, owners = self._own(point >> _SHIFT)
            place = bisect_left(arc, point)
            arc.insert(place, point)
            owners.insert(place, owner)
            self.size += 1

    def remove(self, owner: Any, points: Iterable[int]) -> None:
        """These points are the owner's no more."""
        for point in points:
            arc, owners = self._own(point >> _SHIFT)
            place = bisect_left(arc, point)
            while owners[place] is not owner:
                place += 1
            del arc[place], owners[place]
            self.size -= 1

    def walk(self, hashed: int) -> Iterator[Any]:
        """The owners of the points from there on, once around."""
        if not self.size:
            return
        first = hashed >> _SHIFT
        owners = self._owners[first]
        place = bisect_left(self._arcs[first], hashed)
        yield from owners[place:]
        for number in range(first + 1, first + ARCS):
            yield from self._owners[number % ARCS]
        yield from owners[:place]

    def _own(self, number: int) -> tuple[array, list[Any]]:
        if number in self._shared:
            self._shared.discard(number)
            self._arcs[number] = self._arcs[number][:]
            self._owners[number] = self._owners[number][:]
        return self._arcs[number], self._owners[number]
