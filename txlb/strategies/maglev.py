"""Maglev: a table looked up by the client's hash, nearly even, of which little moves when a backend comes or goes.

See `maglev_table` for how it is made. Even to about 1 %, a pick is one look into the table; when one of n backends
leaves, its clients move and very few of the others'. Making the table costs time (about a second of steps at 10,000
backends), during which the old one serves. A pool that outgrows its table's size changes over to a larger one, and then
nearly all clients move: set `table_size` where that matters.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from attrs import Attribute, define, field

from txlb.strategies.hashing import Hashing
from txlb.strategies.maglev_table import SIZES, fill, preference, table_size


def _valid_size(_: Any, attribute: Attribute, value: int) -> None:
    if value not in (0, *SIZES):
        raise ValueError(f"must be 0 (by the number of backends) or one of {', '.join(map(str, SIZES))}", attribute)


@define(slots=False, eq=False, kw_only=True)
class Maglev(Hashing):
    """A pick is O(1)."""

    table_size: int = field(
        default=0, validator=_valid_size, metadata={"help": f"slots: 0, or one of {', '.join(map(str, SIZES))}"}
    )
    _table: array = field(init=False, factory=lambda: array("H"))
    _backends: tuple = field(init=False, default=())

    def build(self, backends: tuple) -> Iterator[None] | None:
        if not backends:
            self._table, self._backends = array("H"), ()
            return None
        return self._steps(backends)

    def walk(self, hashed: int) -> Iterator[Any]:
        """The slot of the hash, then by a step of the client's own through the table."""
        table, backends = self._table, self._backends
        size = len(table)
        if not size:
            return
        slot, skip = hashed % size, hashed // size % (size - 1) + 1
        while True:
            yield backends[table[slot]]
            slot = (slot + skip) % size

    def _steps(self, backends: tuple) -> Iterator[None]:
        size = self.table_size or table_size(len(backends))
        preferences = []
        for number, backend in enumerate(backends, 1):
            preferences.append(preference(self._hash_name(backend.name.encode()), size))
            if number % 1000 == 0:
                yield
        table = yield from fill(preferences, [backend.weight for backend in backends], size)
        if self._offered is backends:
            self._table, self._backends = table, backends
