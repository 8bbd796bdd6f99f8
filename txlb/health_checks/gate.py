"""Bounds how many probes run at once, over all pools; the others wait their turn, first come first served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

AT_ONCE = 64
"""Probes that run at once unless told otherwise."""


class Gate:
    """A place is taken when the callback is called, and is given back by `leave`."""

    def __init__(self, places: int = AT_ONCE) -> None:
        self._free = places
        self._waiting: dict[Any, Callable[[], None]] = {}
        self._serving = False

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def enter(self, who: Any, callback: Callable[[], None]) -> None:
        """Call back, now or when a place is free. `who` is hashable and waits at most once."""
        self._waiting[who] = callback
        self._serve()

    def leave(self) -> None:
        """Give a place back."""
        self._free += 1
        self._serve()

    def forget(self, who: Any) -> None:
        """Do not wait any longer, if it did."""
        self._waiting.pop(who, None)

    def _serve(self) -> None:
        """A loop and not a recursion: hundreds of probes may end in the moment in which they start."""
        if self._serving:
            return
        self._serving = True
        try:
            while self._free and self._waiting:
                self._free -= 1
                self._waiting.pop(next(iter(self._waiting)))()
        finally:
            self._serving = False
