"""Which counter of the table is whose: kept by the parent, told to the workers.

Names are those of `make_gauge` (`process`, `listener/web`, `pool/echoes`, `pool/echoes/green`). A name keeps its slot
while anybody may count there. Slots of names that are out of use are given away again only when the others have run
out, and only those that all workers left at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from txlb.errors import TxlbError
from txlb.workers.table import FIRST_SLOT, SLOTS


class Slots:
    """`idle(slot)` tells whether nothing is counted there; `by_name` is what there is."""

    def __init__(self, idle: Callable[[int], bool], last: int = SLOTS) -> None:
        self._idle = idle
        self._last = last
        self._next = FIRST_SLOT
        self._free: list[int] = []
        self._untold: dict[str, int] = {}
        self.by_name: dict[str, int] = {}

    def slot(self, name: str) -> int:
        """That name's slot, a new one where it has none. Raises TxlbError when there are no more."""
        if name not in self.by_name:
            self.by_name[name] = self._untold[name] = self._new()
        return self.by_name[name]

    def untold(self) -> dict[str, int]:
        """The names that are new since this was asked last."""
        untold, self._untold = self._untold, {}
        return untold

    def reclaim(self, used: Container[str]) -> None:
        """Where the slots run short, take those of names that are not used any more."""
        if self._next < self._last - self._last // 4:
            return
        for name in [name for name, slot in self.by_name.items() if name not in used and self._idle(slot)]:
            self._free.append(self.by_name.pop(name))

    def _new(self) -> int:
        if self._free:
            return self._free.pop()
        if self._next >= self._last:
            raise TxlbError(f"more than {self._last - FIRST_SLOT} pools, backends and listeners over all workers")
        self._next += 1
        return self._next - 1
