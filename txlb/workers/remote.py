"""Brings what others hold of a backend to the pools of this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from txlb.model.pool import Pool
from txlb.workers.changes import Changes
from txlb.workers.table import Table


class Remote:
    """`slots` are the counters by name; `pools()` are the pools now. `number` is this process's own column, if it has
    one."""

    def __init__(
        self, table: Table, number: int | None, slots: Mapping[str, int], pools: Callable[[], Mapping[str, Pool]]
    ) -> None:
        self._changes = Changes(table, number)
        self._slots = slots
        self._pools = pools
        self._known: dict[int, tuple[str, str]] = {}
        self._last = 0
        self._stale = True

    def renamed(self) -> None:
        """Slots or backends are new."""
        self._stale = True

    def look(self) -> bool:
        """Tell the pools what changed since the last look, and whether anything did."""
        if self._stale:
            self._learn()
        changed = self._changes.look(self._last)
        pools = self._pools()
        for slot, active in changed.items():
            pool, backend = self._known.get(slot, ("", ""))
            if pool in pools:
                pools[pool].set_remote(backend, active)
        return bool(changed)

    def _learn(self) -> None:
        """What was known stays, for backends that have left and have connections still."""
        self._stale = False
        self._last = max(self._slots.values(), default=0)
        for pool in self._pools().values():
            for backend in pool.backends:
                slot = self._slots.get(counter(pool.name, backend))
                if slot is not None:
                    self._known[slot] = (pool.name, backend)


def counter(pool: str, backend: str) -> str:
    """The name of what a pool's backend is counted with; of the pool itself where `backend` is empty."""
    return f"pool/{pool}/{backend}".rstrip("/")
