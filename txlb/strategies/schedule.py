"""Whose turn it is: two ways to interleave backends so that each is picked in proportion to its weight, evenly spread.

Both keep a *credit* for each backend, in the unit of nginx's `current_weight`: at each turn it rises by the backend's
weight, and the one picked pays the total weight. Credits survive a rebuild, so that a backend coming or going does not
start everybody's rotation over.

`Smooth` is nginx's smooth weighted round robin, exactly. Among backends of one weight the greatest credit belongs to the
one that has paid least, so a heap of (paid, index) for each distinct weight holds the candidate, and a pick compares
only the heads. `Deadlines` serves many distinct weights: the n-th turn of a backend is due at (n - ½) / weight, and the
earliest is picked. That is another sequence than nginx's, of the same shares.

An excluded backend is parked: it neither earns nor pays, so it does not come back to a burst.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

from txlb.strategies.parking import Parking

MANY_WEIGHTS = 64
"""More distinct weights than this, and comparing the heads costs more than one heap."""


def schedule(backends: tuple, credits: Mapping[Any, int]) -> Schedule:
    """The rotation for these backends, continuing from these credits."""
    few = len({backend.weight for backend in backends}) <= MANY_WEIGHTS
    return (Smooth if few else Deadlines)(backends, credits)


class Schedule:
    """What both have in common: turns, parking, credits."""

    def __init__(self, backends: tuple, credits: Mapping[Any, int]) -> None:
        self.backends = backends
        self._weights = [backend.weight for backend in backends]
        self._total = sum(self._weights)
        self._parking = Parking()
        self._parked_credits: dict[int, int] = {}
        self._start([credits.get(backend, 0) for backend in backends])

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

    def credits(self) -> dict[Any, int]:
        """Each backend's credit before the next turn."""
        parked = self._parked_credits
        return {
            backend: parked[index] if index in parked else self._credit(index)
            for index, backend in enumerate(self.backends)
        }

    def _park(self, index: int) -> None:
        self._parked_credits[index] = self._credit(index)
        self._drop_head()
        self._total -= self._weights[index]
        self._parking.add(index)

    def _unpark(self, indices: list[int]) -> None:
        for index in indices:
            self._total += self._weights[index]
            self._add(index, self._parked_credits.pop(index))

    def _start(self, credits: list[int]) -> None:
        raise NotImplementedError

    def _head(self) -> int | None:
        raise NotImplementedError

    def _take(self) -> None:
        raise NotImplementedError

    def _drop_head(self) -> None:
        raise NotImplementedError

    def _add(self, index: int, credit: int) -> None:
        raise NotImplementedError

    def _credit(self, index: int) -> int:
        raise NotImplementedError


class Smooth(Schedule):
    """nginx's sequence: 5, 1, 1 gives a a b a c a a. Credit is `turn * weight - paid`."""

    def _start(self, credits: list[int]) -> None:
        self._turn = 0
        self._paid = [-credit for credit in credits]
        groups: dict[int, list[tuple[int, int]]] = {weight: [] for weight in self._weights}
        for index, weight in enumerate(self._weights):
            groups[weight].append((self._paid[index], index))
        for heap in groups.values():
            heapify(heap)
        self._groups = groups
        self._heaps = list(groups.items())
        self._best: list[tuple[int, int]] = []

    def _head(self) -> int | None:
        turn = self._turn + 1
        best_credit, best_index, best_heap = 0, -1, None
        for weight, heap in self._heaps:
            if heap:
                paid, index = heap[0]
                credit = turn * weight - paid
                if best_heap is None or credit > best_credit or (credit == best_credit and index < best_index):
                    best_credit, best_index, best_heap = credit, index, heap
        if best_heap is None:
            return None
        self._best = best_heap
        return best_index

    def _take(self) -> None:
        self._turn += 1
        paid, index = self._best[0]
        paid += self._total
        self._paid[index] = paid
        heapreplace(self._best, (paid, index))

    def _drop_head(self) -> None:
        heappop(self._best)

    def _add(self, index: int, credit: int) -> None:
        weight = self._weights[index]
        paid = self._paid[index] = self._turn * weight - credit
        heappush(self._groups[weight], (paid, index))

    def _credit(self, index: int) -> int:
        return self._turn * self._weights[index] - self._paid[index]


class Deadlines(Schedule):
    """Earliest deadline first. Virtual time passes by 1 in a whole round; a backend's `count` is its turns so far."""

    def _start(self, credits: list[int]) -> None:
        self._now = 0.0
        self._counts = [-credit / self._total for credit in credits]
        self._heap = [(self._due(index), index) for index in range(len(credits))]
        heapify(self._heap)

    def _due(self, index: int) -> float:
        return (self._counts[index] + 0.5) / self._weights[index]

    def _head(self) -> int | None:
        return self._heap[0][1] if self._heap else None

    def _take(self) -> None:
        self._now += 1 / self._total
        index = self._heap[0][1]
        self._counts[index] += 1
        heapreplace(self._heap, (self._due(index), index))

    def _drop_head(self) -> None:
        heappop(self._heap)

    def _add(self, index: int, credit: int) -> None:
        self._counts[index] = self._now * self._weights[index] - credit / self._total
        heappush(self._heap, (self._due(index), index))

    def _credit(self, index: int) -> int:
        return round((self._now * self._weights[index] - self._counts[index]) * self._total)
