"""Whose turn it is: two ways to interleave backends so that each is picked in proportion to its weight, evenly spread.

At each turn everybody earns weight / total of a turn, and the one picked pays one. What a backend is *owed* is nginx's
`current_weight` divided by the total weight, kept here as a whole number of millionths (`ONE` is a turn): counted in turns
it means the same when the total changes, because backends come, go, or are excluded. What is owed survives a rebuild, so
that a change does not start everybody's rotation over.

`Smooth` is nginx's smooth weighted round robin, exactly. Among backends of one weight the most is owed to the one that
has had the fewest turns, so a heap of (turns, index) for each distinct weight holds the candidate, and a pick compares
only the heads. `Deadlines` serves many distinct weights: the n-th turn of a backend is due at (n - ½) / weight, and the
earliest is picked. That is another sequence than nginx's, of the same shares.

An excluded backend is parked: it neither earns nor pays, so it does not come back to a burst.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Container, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

from txlb.strategies.parking import Parking

MANY_WEIGHTS = 64
"""More distinct weights than this, and comparing the heads costs more than one heap."""


ONE = 1 << 20
"""One turn."""


def schedule(backends: tuple, owed: Mapping[Any, int]) -> Schedule:
    """The rotation for these backends, in which this is owed to them."""
    few = len({backend.weight for backend in backends}) <= MANY_WEIGHTS
    return (Smooth if few else Deadlines)(backends, owed)


class Schedule(ABC):
    """What both have in common: parking, and what is owed. `_had` are the turns of each, `_total` the sum of weights."""

    def __init__(self, backends: tuple, owed: Mapping[Any, int]) -> None:
        self.backends = backends
        self._weights = [backend.weight for backend in backends]
        self._total = sum(self._weights)
        self._had = [-owed.get(backend, 0) for backend in backends]
        self._parking = Parking()
        self._owed_parked: dict[int, int] = {}
        self._start()

    def next(self, exclude: Container) -> Any:
        """The backend whose turn it is, and its turn is taken; None when all are excluded."""
        if self._parking:
            self._unpark(self._parking.returning(self.backends, exclude))
        while True:
            index = self._head()
            if index is None:
                back = self._parking.all_returning(self.backends, exclude)
                if not back:
                    return None
                self._unpark(back)
                continue
            backend = self.backends[index]
            if exclude and backend in exclude:
                self._park(index)
                continue
            self._take()
            return backend

    def owed(self) -> dict[Any, int]:
        """What is owed to each before the next turn, in parts of `ONE`."""
        parked = self._owed_parked
        return {
            backend: parked[index] if index in parked else self._owed(index)
            for index, backend in enumerate(self.backends)
        }

    def _park(self, index: int) -> None:
        self._owed_parked[index] = self._owed(index)
        self._drop_head()
        self._change_total(-self._weights[index])
        self._parking.add(index)

    def _unpark(self, indices: list[int]) -> None:
        for index in indices:
            self._change_total(self._weights[index])
            self._had[index] = self._earned(index) - self._owed_parked.pop(index)
            self._add(index)

    def _owed(self, index: int) -> int:
        return self._earned(index) - self._had[index]

    @abstractmethod
    def _earned(self, index: int) -> int:
        """What the backend has earned in turns so far, in parts of `ONE`."""

    @abstractmethod
    def _start(self) -> None:
        """Set up the structure for `_had`."""

    @abstractmethod
    def _head(self) -> int | None:
        """Whose turn it is; None when nobody is in."""

    @abstractmethod
    def _take(self) -> None:
        """The head has its turn."""

    @abstractmethod
    def _drop_head(self) -> None:
        """The head goes out."""

    @abstractmethod
    def _add(self, index: int) -> None:
        """It comes in, as `_had` says."""

    @abstractmethod
    def _change_total(self, by: int) -> None:
        """The sum of weights changes."""


class Smooth(Schedule):
    """nginx's sequence: 5, 1, 1 gives a a b a c a a. `_time` is the number of turns, at the present total."""

    def _start(self) -> None:
        self._time = 0
        self._groups: dict[int, list[tuple[int, int]]] = {weight: [] for weight in self._weights}
        for index, weight in enumerate(self._weights):
            self._groups[weight].append((self._had[index], index))
        for heap in self._groups.values():
            heapify(heap)
        self._heaps = [(weight * ONE, heap) for weight, heap in self._groups.items()]
        self._best: list[tuple[int, int]] = []

    def _head(self) -> int | None:
        time, total = self._time + 1, self._total
        best_owed, best_index, best_heap = 0, -1, None
        for weight, heap in self._heaps:
            if heap:
                had, index = heap[0]
                owed = time * weight - had * total
                if best_heap is None or owed > best_owed or (owed == best_owed and index < best_index):
                    best_owed, best_index, best_heap = owed, index, heap
        if best_heap is None:
            return None
        self._best = best_heap
        return best_index

    def _take(self) -> None:
        self._time += 1
        had, index = self._best[0]
        had += ONE
        self._had[index] = had
        heapreplace(self._best, (had, index))

    def _drop_head(self) -> None:
        heappop(self._best)

    def _add(self, index: int) -> None:
        heappush(self._groups[self._weights[index]], (self._had[index], index))

    def _change_total(self, by: int) -> None:
        before = self._total
        self._total += by
        self._time = round(self._time * self._total / before) if before else 0

    def _earned(self, index: int) -> int:
        return self._time * self._weights[index] * ONE // self._total


class Deadlines(Schedule):
    """Earliest deadline first. `_time` passes by 1 / total a turn."""

    def _start(self) -> None:
        self._time = 0.0
        self._heap = [(self._due(index), index) for index in range(len(self._had))]
        heapify(self._heap)

    def _due(self, index: int) -> float:
        return (self._had[index] + ONE // 2) / self._weights[index]

    def _head(self) -> int | None:
        return self._heap[0][1] if self._heap else None

    def _take(self) -> None:
        self._time += 1 / self._total
        index = self._heap[0][1]
        self._had[index] += ONE
        heapreplace(self._heap, (self._due(index), index))

    def _drop_head(self) -> None:
        heappop(self._heap)

    def _add(self, index: int) -> None:
        heappush(self._heap, (self._due(index), index))

    def _change_total(self, by: int) -> None:
        self._total += by

    def _earned(self, index: int) -> int:
        return round(self._time * self._weights[index] * ONE)
