"""Bounded load: no backend takes more than so many percent of its fair share, and the next in line gets the rest.

Source: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016; the test is HAProxy's
(`chash_server_is_eligible` in `src/lb_chash.c`): a backend may take another connection while
`active < ceil((all active + 1) * percent / 100 * weight / all weights)`.
"""

from __future__ import annotations

from typing import Any


class Bound:
    """Keeps the sum of connections; a question and a change are O(1)."""

    __slots__ = ("_active", "_percent", "_total", "_weight", "_weights")

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self.rebuild(())

    def rebuild(self, backends: tuple) -> None:
        """These share the load from now on."""
        self._weights = {backend: backend.weight for backend in backends}
        self._active = {backend: backend.active for backend in backends}
        self._weight = sum(self._weights.values())
        self._total = sum(self._active.values())

    def changed(self, backend: Any) -> None:
        """`backend.active` changed, by whatever amount."""
        before = self._active.get(backend)
        if before is not None:
            active = self._active[backend] = backend.active
            self._total += active - before

    def reached(self, backend: Any) -> bool:
        """It has its share; no more for now."""
        weight = self._weights.get(backend, 0)
        return backend.active * 100 * self._weight >= (self._total + 1) * self._percent * weight
