"""One balancer's view: its own strategy objects, and counts of what it sent itself. Several of them may share servers."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from txlb.errors import TxlbError
from txlb.interfaces import (
    IBackend,
    IObservesLoad,
    IObservesOutcome,
    IObservesTime,
    Measure,
    Outcome,
)
from txlb.registry import Registry
from txlb.simulate.server import Server
from txlb.specs import StrategySpec

CONNECT = 0.0005
"""Seconds that strategies are told a connect took: the kernel accepts for a busy server too."""


@implementer(IBackend)
class SimBackend:
    """A server as one balancer sees it. Hashed by identity, ordered by name."""

    __slots__ = ("active", "limit", "name", "server", "up_since", "weight")

    def __init__(self, server: Server, limit: int | None) -> None:
        self.server = server
        self.name = server.name
        self.weight = server.weight * 100
        self.limit = limit
        self.active = 0
        self.up_since = 0.0

    def __lt__(self, other: SimBackend) -> bool:
        return self.name < other.name

    def __repr__(self) -> str:
        return f"<SimBackend {self.name}>"


class Balancer:
    """Picks as the pool does: the first strategy in the chain that has a pick, never one at its maximum."""

    def __init__(
        self,
        specs: tuple[StrategySpec, ...],
        registry: Registry,
        clock: Clock,
        rng: random.Random,
        backends: Iterable[SimBackend],
    ) -> None:
        self.backends = {backend.name: backend for backend in backends}
        self._strategies = [registry.build(spec.name, spec.options, clock=clock, rng=rng) for spec in specs]
        self._picks = [strategy.pick for strategy in self._strategies]
        self._load = [s.changed for s in self._strategies if IObservesLoad.providedBy(s)]
        self._time = [s.measured for s in self._strategies if IObservesTime.providedBy(s)]
        self._outcome = [s.released for s in self._strategies if IObservesOutcome.providedBy(s)]
        self._offered: frozenset[SimBackend] = frozenset()
        self._full: set[SimBackend] = set()

    def offer(self, names: Iterable[str]) -> None:
        """These are eligible from now on. A rebuild in steps is finished at once."""
        offered = tuple(sorted(self.backends[name] for name in names))
        self._offered = frozenset(offered)
        for strategy in self._strategies:
            for _ in strategy.rebuild(offered) or ():
                pass

    def acquire(self, client: Any, tried: frozenset[SimBackend]) -> SimBackend | None:
        """One that is offered, not full and not tried yet, counted from now on."""
        exclude = self._full.union(tried) if tried else self._full
        for pick in self._picks:
            backend: SimBackend | None = pick(client, exclude)
            if backend is not None:
                if backend not in self._offered or backend in exclude:
                    raise TxlbError(f"picked {backend!r}, which it was not offered")
                self._count(backend, 1)
                return backend
        return None

    def connected(self, backend: SimBackend) -> None:
        """The backend has taken it."""
        for tell in self._time:
            tell(backend, Measure.CONNECT, CONNECT)

    def answered(self, backend: SimBackend, seconds: float) -> None:
        """It is done: first and last byte come together."""
        for tell in self._time:
            tell(backend, Measure.FIRST_BYTE, seconds)
            tell(backend, Measure.LAST_BYTE, seconds)
        self.release(backend, Outcome.OK)

    def release(self, backend: SimBackend, outcome: Outcome) -> None:
        """It is over."""
        self._count(backend, -1)
        for tell in self._outcome:
            tell(backend, outcome)

    def _count(self, backend: SimBackend, change: int) -> None:
        backend.active += change
        if backend.limit is not None:
            if backend.active >= backend.limit:
                self._full.add(backend)
            else:
                self._full.discard(backend)
        for tell in self._load:
            tell(backend)
