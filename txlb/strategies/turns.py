"""Whose turn it is among equals, for strategies that rank: the order of start-time fair queueing.

Each backend has a start time on a virtual clock, which a pick moves on by 1 / weight; among equals the earliest goes
first. One that was not picked for long starts from the clock's present, so it cannot claim all it missed at once.
Source: Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996.
"""

from __future__ import annotations

from typing import Any


class Turns:
    """`starts[index]` is the virtual start time of a backend's next turn."""

    __slots__ = ("_clock", "_weights", "starts")

    def __init__(self, backends: tuple, before: dict[Any, float]) -> None:
        """`before`: how far each was ahead of the clock in the turns that these continue."""
        self._clock = 0.0
        self._weights = [backend.weight for backend in backends]
        self.starts = [before.get(backend, 0.0) for backend in backends]

    def take(self, index: int) -> float:
        """The backend is picked; returns its next start."""
        start = self.starts[index]
        if start > self._clock:
            self._clock = start
        start = self.starts[index] = self._clock + 100 / self._weights[index]
        return start

    def ahead(self, backends: tuple) -> dict[Any, float]:
        """How far each is ahead of the clock, to continue from."""
        return {backend: max(0.0, start - self._clock) for backend, start in zip(backends, self.starts, strict=True)}
