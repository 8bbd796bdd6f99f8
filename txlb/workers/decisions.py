"""What has to be decided once for all workers: which backends are up, ejected, drained, and how much they weigh.

The parent has pools of its own, the same class as everybody's, which no connection ever uses. Health checks and
operators speak to them, and workers report to them what their traffic meets. Whatever comes of it is an event, or a
change by name, and is told to the workers as a command, which their pools carry out without a thought of their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime

from txlb import registry
from txlb.events import BackendChanged, BackendDown, BackendEjected, BackendReturned, BackendUp, EventBus
from txlb.health_checks.scheduler import Scheduler
from txlb.model import decided
from txlb.model.limits import MakeGauge
from txlb.model.pool import Pool
from txlb.specs import BackendSpec, Config, PoolSpec
from txlb.workers.remote import counter

Tell = Callable[[str, list[Any]], None]
"""Has all workers carry out a command on the pool of that name."""


class Decisions:
    """The parent's pools, and the checks of their backends."""

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        rng: random.Random,
        bus: EventBus,
        make_gauge: MakeGauge,
        tell: Tell,
        strategies: registry.Registry | None = None,
        health_checks: registry.Registry | None = None,
    ) -> None:
        self.pools: dict[str, Pool] = {}
        self.health = Scheduler(reactor, clock, rng, bus, health_checks)
        self._clock, self._rng, self._bus, self._make_gauge, self._tell = clock, rng, bus, make_gauge, tell
        self._strategies = strategies or registry.strategies()
        bus.subscribe(BackendUp, lambda e: tell(e.pool, ["decree", e.backend, "up", e.reason]))
        bus.subscribe(BackendDown, lambda e: tell(e.pool, ["decree", e.backend, "down", e.reason]))
        bus.subscribe(BackendEjected, lambda e: tell(e.pool, ["eject", e.backend, e.seconds, e.reason]))
        bus.subscribe(BackendReturned, lambda e: tell(e.pool, ["end_ejection", e.backend, e.reason]))
        bus.subscribe(BackendChanged, self._changed)

    def become(self, config: Config) -> None:
        """Have the pools of this configuration. Raises what the registry raises for a strategy."""
        old, self.pools = self.pools, {name: self._pool(spec) for name, spec in config.pools.items()}
        for name in old.keys() - self.pools.keys():
            self.health.forget(name)
            old[name].stop()

    def operate(self, pool: str, name: str, *arguments: Any) -> None:
        """An operator's word: `set_admin`, `set_weight`, `add` or `remove`, with its arguments. Raises as they do."""
        getattr(self.named(pool), name)(*arguments)
        self._tell(pool, [name, *(attrs.asdict(a) if isinstance(a, BackendSpec) else a for a in arguments)])

    def named(self, pool: str) -> Pool:
        """The pool of that name; raises KeyError."""
        if pool not in self.pools:
            raise KeyError(f"no pool is named {pool}; there are {', '.join(self.pools)}")
        return self.pools[pool]

    def met(self, verdicts: Iterable[tuple[str, str, bool, str]]) -> None:
        """A worker's traffic met backends: (pool, backend, whether it was well, why not), in their order.

        The first failure is told to all, because from then on a success counts, whichever worker meets it.
        """
        for pool_name, name, ok, reason in verdicts:
            pool = self.pools.get(pool_name)
            backend = pool.backends.get(name) if pool is not None else None
            if pool is None or backend is None:
                continue
            before = backend.failures
            pool.observe(name, ok, reason, passive=True)
            if backend.failures and not before:
                self._tell(pool_name, ["suspect", name])

    def export(self) -> dict[str, Any]:
        """All that was decided and is not in the file, as plain data for `restore`."""
        return decided.export(self.pools)

    def restore(self, said: Mapping[str, Any]) -> None:
        """Take over another parent's decisions."""
        decided.restore(self.pools, said)
        for pool in self.pools.values():
            self.health.sync(pool)

    def stop(self) -> None:
        """Check nothing any more."""
        self.health.stop()
        for pool in self.pools.values():
            pool.stop()

    def _pool(self, spec: PoolSpec) -> Pool:
        pool = self.pools.get(spec.name)
        if pool is None:

            def make_gauge(name: str, limit: int | None) -> Any:
                return self._make_gauge(counter(spec.name, name), limit)

            pool = Pool(spec, self._strategies, self._clock, self._rng, self._bus, make_gauge)
        else:
            pool.reconcile(spec)
        self.health.sync(pool)
        return pool

    def _changed(self, event: BackendChanged) -> None:
        if event.pool in self.pools:
            self.health.sync(self.pools[event.pool])
