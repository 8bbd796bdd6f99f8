"""The least of many keys that change one at a time: a heap whose outdated entries are dropped when they surface.

`put` is O(log n), `best` is O(log n) amortised. Entries are tuples that end in the backend's index, so two are never
equal, and an entry is current if it *is* the one noted for its index.
"""

from __future__ import annotations

from collections.abc import Container
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

from txlb.strategies.parking import Parking

Entry = tuple[Any, ...]


class Ranking:
    """Entries for some or all of `backends`; `index` tells where a backend stands in them."""

    __slots__ = ("_current", "_heap", "_parking", "backends", "index")

    def __init__(self, backends: tuple) -> None:
        self.backends = backends
        self.index = {backend: index for index, backend in enumerate(backends)}
        self._current: list[Entry | None] = [None] * len(backends)
        self._heap: list[Entry] = []
        self._parking = Parking()

    def fill(self, entries: list[Entry]) -> None:
        """Put many at once into a ranking that was empty."""
        for entry in entries:
            self._current[entry[-1]] = entry
        self._heap = entries
        heapify(self._heap)

    def put(self, entry: Entry) -> None:
        """Add the entry, or replace the one that its backend has."""
        index = entry[-1]
        self._current[index] = entry
        if self._parking:
            self._parking.discard(index)
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._current) + 64:
            self._compact()

    def replace_best(self, entry: Entry) -> None:
        """As `put`, for the backend that `best` has just returned."""
        self._current[entry[-1]] = entry
        heapreplace(self._heap, entry)

    def remove(self, index: int) -> None:
        """Take a backend out; nothing happens when it is not in."""
        self._current[index] = None
        self._parking.discard(index)

    def get(self, index: int) -> Entry | None:
        """The entry of a backend."""
        return self._current[index]

    def best(self, exclude: Container = ()) -> Entry | None:
        """The least entry whose backend is not excluded."""
        if self._parking:
            self._unpark(self._parking.returning(self.backends, exclude))
        heap, current, backends = self._heap, self._current, self.backends
        while True:
            while heap:
                entry = heap[0]
                index = entry[-1]
                if current[index] is not entry:
                    heappop(heap)
                elif exclude and backends[index] in exclude:
                    self._parking.add(index)
                    heappop(heap)
                else:
                    return entry
            back = self._parking.all_returning(backends, exclude)
            if not back:
                return None
            self._unpark(back)

    def _unpark(self, indices: list[int]) -> None:
        for index in indices:
            entry = self._current[index]
            if entry is not None:
                heappush(self._heap, entry)

    def _compact(self) -> None:
        parking = self._parking
        self._heap[:] = [entry for entry in self._current if entry is not None and entry[-1] not in parking]
        heapify(self._heap)
