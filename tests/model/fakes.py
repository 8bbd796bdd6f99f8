"""Tiny strategies and the pool to try them in."""

from __future__ import annotations

import random
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock
from zope.interface import implementer

from txlb.events import EventBus
from txlb.interfaces import IExplains, IObservesLoad, IObservesOutcome, IObservesTime, IStrategy
from txlb.model.pool import Pool
from txlb.plugin import StrategyMaker
from txlb.registry import Registry, strategies
from txlb.specs import BackendSpec, PoolSpec, StrategySpec

INSTALLED = strategies().makers


@implementer(IStrategy)
class Turns:
    """One after the other."""

    def __init__(self) -> None:
        self.backends: tuple[Any, ...] = ()
        self.rebuilds: list[list[tuple[str, int]]] = []
        self.next = 0

    def rebuild(self, backends):
        """Remember what was told."""
        self.backends = backends
        self.rebuilds.append([(b.name, b.weight) for b in backends])

    def pick(self, client, exclude=()):
        """The next one that is not excluded."""
        for _ in self.backends:
            backend = self.backends[self.next % len(self.backends)]
            self.next += 1
            if backend not in exclude:
                return backend
        return None


@implementer(IExplains, IObservesLoad, IObservesTime, IObservesOutcome)
class Watcher(Turns):
    """Writes down all that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Any, ...]] = []

    def changed(self, backend):
        """Note the load."""
        self.told.append(("changed", backend.name, backend.active))

    def measured(self, backend, what, seconds):
        """Note the time."""
        self.told.append(("measured", backend.name, what, seconds))

    def released(self, backend, outcome):
        """Note the outcome."""
        self.told.append(("released", backend.name, outcome))

    def scores(self, client):
        """The fewest connections first."""
        return [(b, float(b.active), f"{b.active} open") for b in sorted(self.backends, key=lambda b: b.active)]


@implementer(IStrategy)
class Slow(Turns):
    """Builds its table in a step for each backend, each taking 2 ms of the clock it was given at class level."""

    clock: Clock | None = None
    closed = 0

    def rebuild(self, backends):
        """One step a backend."""
        table = []
        try:
            for backend in backends:
                table.append(backend)
                if Slow.clock is not None:
                    Slow.clock.rightNow += 0.002
                yield
            self.backends = tuple(table)
            self.rebuilds.append([(b.name, b.weight) for b in backends])
        except GeneratorExit:
            Slow.closed += 1
            raise


@implementer(IStrategy, IObservesLoad, IObservesTime, IObservesOutcome, IExplains)
class Raises:
    """Raises whatever it is asked."""

    def rebuild(self, backends):
        """No."""
        raise RuntimeError("no table")

    def pick(self, client, exclude=()):
        """No."""
        raise RuntimeError("no pick")

    def changed(self, backend):
        """No."""
        raise RuntimeError("no change")

    def measured(self, backend, what, seconds):
        """No."""
        raise RuntimeError("no time")

    def released(self, backend, outcome):
        """No."""
        raise RuntimeError("no outcome")

    def scores(self, client):
        """No."""
        raise RuntimeError("no scores")


@implementer(IStrategy)
class Nonsense:
    """Picks what nobody offered: `answer`, set by the test at class level."""

    answer: Any = "a backend"

    def rebuild(self, backends):
        """Not interested."""

    def pick(self, client, exclude=()):
        """Always the same."""
        return Nonsense.answer


@implementer(IStrategy)
class First(Turns):
    """Always its first backend, excluded or not."""

    def pick(self, client, exclude=()):
        """Ignores `exclude`."""
        return self.backends[0] if self.backends else None


def registry() -> Registry:
    """The strategies of this file, by their names in lower case, beside those that are installed."""
    classes = (Turns, Watcher, Slow, Raises, Nonsense, First)
    fakes = [StrategyMaker(c.__name__.lower(), f"{__name__}:{c.__name__}", c.__doc__) for c in classes]
    return strategies([*fakes, *INSTALLED])


@define
class World:
    """A pool, its clock, and the events that it published."""

    pool: Pool
    clock: Clock
    bus: EventBus
    events: list[Any] = field(factory=list)

    def turn(self) -> None:
        """Turns of the reactor until nothing is due; no time passes by itself."""
        self.clock.advance(0)

    def one_turn(self) -> None:
        """Only what is due already; not what those calls ask for."""
        for call in [call for call in self.clock.calls if call.getTime() <= self.clock.seconds()]:
            if call.active():
                self.clock.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)

    def of(self, kind: type) -> list[Any]:
        """The events of one class so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def take(self, number: int) -> list[Any]:
        """So many leases (or None where there was none)."""
        return [self.pool.acquire(None) for _ in range(number)]

    def strategy(self, position: int = 0) -> Any:
        """The strategy itself."""
        return self.pool.chain.links[position].strategy

    def backend(self, name: str) -> Any:
        """The backend of that name."""
        return self.pool.backends[name]


def specs(*names: str, **fields: Any) -> tuple[BackendSpec, ...]:
    """Backends of these names, all alike."""
    return tuple(BackendSpec(name, f"tcp:{name}:80", **fields) for name in names)


def spec(*backends: str | BackendSpec, strategy: str = "turns", **fields: Any) -> PoolSpec:
    """A pool of these backends; `strategy` is names with spaces between."""
    listed = tuple(b if isinstance(b, BackendSpec) else specs(b)[0] for b in backends)
    return PoolSpec("p", listed, strategy=tuple(map(StrategySpec, strategy.split())), **fields)


def world(*backends: str | BackendSpec, strategy: str = "turns", make_gauge: Any = None, **fields: Any) -> World:
    """A running pool of these backends."""
    from txlb import events

    clock, bus = Clock(), EventBus()
    given = {} if make_gauge is None else {"make_gauge": make_gauge}
    pool = Pool(spec(*backends, strategy=strategy, **fields), registry(), clock, random.Random(1), bus, **given)
    made = World(pool, clock, bus)
    for name in ("BackendUp", "BackendDown", "BackendEjected", "BackendReturned", "BackendChanged", "Panic"):
        bus.subscribe(getattr(events, name), made.events.append)
    bus.subscribe(events.PluginFailed, made.events.append)
    return made
