"""Limits that hold for several processes together.

To take, a worker first counts in its own column and then adds up all columns. Where the sum leaves more room than there
are workers, that was all: even if every other worker counts one more in the instant before it can see this one, the
limit is kept. Nearer to the limit the worker looks again under a lock, and takes its count back where it was too many.
So whoever is let in saw a sum within the limit that held all who were let in before: the limit is never exceeded. And of
those who compete for the last place, the last to look sees no more than who was let in, so that the place is taken.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping

from txlb.workers.table import ROW, SLOTS, Table

MOST_ASIDE = 16
"""Places set aside at a time for one turn of accepting."""

ACCEPTS = 64
"""Connections that an engine accepts in one turn at most, where nothing else bounds it."""

Later = Callable[[Callable[[], None]], object]
"""Calls back in the reactor's next turn."""


class SharedGauge:
    """One counter of a table. `own` is what this object holds, `value` what all workers hold together."""

    __slots__ = ("_aside", "_cells", "_later", "_margin", "_others", "_slot", "_table", "limit", "own")

    def __init__(
        self, table: Table, number: int, slot: int, limit: int | None, later: Later, alone: bool = False
    ) -> None:
        """With `alone`, the limit is one that each process has for itself; the others' sum is not looked at."""
        self._table = table
        self._cells = table.cells[number]
        self._others = () if alone else tuple(c for i, c in enumerate(table.cells) if i != number)
        self._margin = len(self._others) + 1 if self._others else 0
        self._slot = slot
        self._later = later
        self._aside = 0
        self.limit = limit
        self.own = 0

    @property
    def value(self) -> int:
        """How much is taken now, places set aside for others' accepting included, for one's own not."""
        return self._sum() - self._aside

    def take(self) -> bool:
        """Count one more and return True, or False where the limit is reached."""
        if self._aside:
            self._aside -= 1
        elif not self._claim():
            return False
        self.own += 1
        return True

    def give(self) -> None:
        """Give one back; raises ValueError where none was taken."""
        if not self.own:
            raise ValueError("more given back than taken")
        self.own -= 1
        self._cells[self._slot] -= 1

    def places(self) -> int:
        """How many may be taken in this turn for sure. Near the limit they are set aside until the turn is over, so
        that nobody is accepted whose place is gone by then."""
        limit = self.limit
        if limit is None:
            return sys.maxsize
        room = limit - self._sum()
        workers = self._margin or 1
        if not self._others or room > workers * ACCEPTS:
            return room
        wanted = min(max(1, room // workers), MOST_ASIDE)
        if not self._aside:
            self._later(self._return)
        while self._aside < wanted and self._claim():
            self._aside += 1
        return self._aside

    def _claim(self) -> bool:
        self._cells[self._slot] += 1
        limit = self.limit
        return limit is None or self._sum() <= limit - self._margin or self._settle(limit)

    def _settle(self, limit: int) -> bool:
        slot = self._slot
        locked = self._table.lock(slot)
        try:
            if locked and self._sum() <= limit:
                return True
            self._cells[slot] -= 1
            return False
        finally:
            if locked:
                self._table.unlock(slot)

    def _return(self) -> None:
        self._cells[self._slot] -= self._aside
        self._aside = 0

    def _sum(self) -> int:
        slot = self._slot
        total = self._cells[slot]
        for column in self._others:
            total += column[slot]
        return total


class ProcessGauge(SharedGauge):
    """What one process may hold: its limit comes from its descriptors, so the others' counts are not looked at.
    `before_accepting` is called when an engine is about to let somebody in."""

    __slots__ = ("_before_accepting",)

    def __init__(
        self, table: Table, number: int, slot: int, limit: int | None, before_accepting: Callable[[], object]
    ) -> None:
        super().__init__(table, number, slot, limit, lambda call: None, alone=True)
        self._before_accepting = before_accepting

    def places(self) -> int:
        """How many may be taken."""
        self._before_accepting()
        return super().places()


class SharedClientCounts:
    """Counts for each client address over all workers.

    An address is hashed to a counter in each of two rows, and the smaller of the two is taken for what the others hold of
    it: at least what they do, and more only where both are another client's too.
    """

    __slots__ = ("_cells", "_counts", "_key", "_listener", "_margin", "_others", "_table", "limit")

    def __init__(self, table: Table, number: int, key: bytes, listener: str) -> None:
        """`key` is secret, lest clients choose addresses that collide with those of others."""
        self._table = table
        self._cells = table.cells[number]
        self._others = tuple(c for i, c in enumerate(table.cells) if i != number)
        self._margin = len(self._others) + 1
        self._key = key
        self._listener = listener
        self._counts: dict[str, int] = {}
        self.limit: int | None = None

    def value(self, host: str) -> int:
        """How many this address holds."""
        return self._counts.get(host, 0) + self._elsewhere(self._places(host))

    def take(self, host: str) -> bool:
        """Count one more for this address and return True, or False where it is at its limit."""
        held = self._counts.get(host, 0) + 1
        if not self._claim(self._places(host), held):
            return False
        self._counts[host] = held
        return True

    def give(self, host: str) -> None:
        """Give one back; raises ValueError where this address holds none."""
        held = self._counts.get(host, 0)
        if not held:
            raise ValueError(f"more given back than taken by {host}")
        self._write(self._places(host), -1)
        if held == 1:
            del self._counts[host]
        else:
            self._counts[host] = held - 1

    def _claim(self, places: tuple[int, int], held: int) -> bool:
        self._write(places, 1)
        limit = self.limit
        if limit is None or held + self._elsewhere(places) <= limit - self._margin:
            return True
        locked = self._table.lock(places[0])
        try:
            if locked and held + self._elsewhere(places) <= limit:
                return True
            self._write(places, -1)
            return False
        finally:
            if locked:
                self._table.unlock(places[0])

    def _elsewhere(self, places: tuple[int, int]) -> int:
        first, second = places
        return min(sum(column[first] for column in self._others), sum(column[second] for column in self._others))

    def _write(self, places: tuple[int, int], change: int) -> None:
        for place in places:
            self._cells[place] += change

    def _places(self, host: str) -> tuple[int, int]:
        said = f"{self._listener}\0{host}".encode()
        digest = hashlib.blake2b(said, key=self._key, digest_size=8).digest()
        first, second = int.from_bytes(digest[:4]), int.from_bytes(digest[4:])
        return SLOTS + first % ROW, SLOTS + ROW + second % ROW


class Gauges:
    """Makes the gauges of one process. `slots` says by name which counter is meant; `number` is its column."""

    def __init__(
        self,
        table: Table,
        number: int,
        slots: Mapping[str, int],
        key: bytes,
        later: Later,
        before_accepting: Callable[[], object] = lambda: None,
    ) -> None:
        self._table, self._number, self._slots, self._key, self._later = table, number, slots, key, later
        self._before_accepting = before_accepting

    def gauge(self, name: str, limit: int | None) -> SharedGauge:
        """The gauge of that name; `process` is each process's own."""
        if name == "process":
            return ProcessGauge(self._table, self._number, self._slots[name], limit, self._before_accepting)
        return SharedGauge(self._table, self._number, self._slots[name], limit, self._later)

    def clients(self, listener: str) -> SharedClientCounts:
        """The counts for a listener's client addresses."""
        return SharedClientCounts(self._table, self._number, self._key, listener)
