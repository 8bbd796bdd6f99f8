"""Tells a strategy what a pool would tell it, and holds every pick against what was offered."""

from __future__ import annotations

import random
from collections.abc import Container, Mapping
from typing import Any

from twisted.internet.task import Clock

from txlb.interfaces import IObservesLoad, IObservesOutcome, IObservesTime, Measure, Outcome
from txlb.options import build
from txlb.testing.fakes import FakeBackend, FakeClient

SOMEBODY = FakeClient()


class Ground:
    """A strategy with a clock, a random source and the backends offered to it."""

    def __init__(self, strategy: type, options: Mapping[str, Any] | None = None, seed: int = 1) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.strategy = build(strategy, options or {}, clock=self.clock, rng=self.rng)
        self.offered: tuple[FakeBackend, ...] = ()

    def offer(self, backends: tuple[FakeBackend, ...]) -> None:
        """These are eligible from now on; a rebuild in steps is run to its end."""
        self.offered = tuple(sorted(backends))
        for _ in self.strategy.rebuild(self.offered) or ():
            pass

    def pick(self, client: Any = SOMEBODY, exclude: Container[Any] = ()) -> Any:
        """A pick; raises AssertionError when it was not offered or is excluded."""
        backend = self.strategy.pick(client, exclude)
        if backend is not None and not any(backend is each for each in self.offered):
            raise AssertionError(f"picked {backend!r}, which was not offered")
        if backend is not None and backend in exclude:
            raise AssertionError(f"picked {backend!r}, which is excluded")
        return backend

    def open(self, client: Any = SOMEBODY, exclude: Container[Any] = ()) -> Any:
        """Pick, and count the connection."""
        backend = self.pick(client, exclude)
        if backend is not None:
            self.load(backend, backend.active + 1)
        return backend

    def load(self, backend: Any, active: int) -> None:
        """`backend.active` is this from now on."""
        backend.active = active
        if IObservesLoad.providedBy(self.strategy):
            self.strategy.changed(backend)

    def answer(self, backend: Any, seconds: float, *whats: str) -> None:
        """It took so long to connect and to the first byte, or to what is named."""
        if IObservesTime.providedBy(self.strategy):
            for what in whats or (Measure.CONNECT, Measure.FIRST_BYTE):
                self.strategy.measured(backend, what, seconds)

    def close(self, backend: Any, outcome: str = Outcome.OK, seconds: float | None = None) -> None:
        """A connection ended; where `seconds` are given, so long after it began."""
        if seconds is not None:
            self.answer(backend, seconds, Measure.LAST_BYTE)
        self.load(backend, backend.active - 1)
        if IObservesOutcome.providedBy(self.strategy):
            self.strategy.released(backend, outcome)
