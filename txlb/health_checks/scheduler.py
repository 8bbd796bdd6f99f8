"""Follows the pools: which backends are probed, how, and what becomes of the verdicts.

`sync(pool)` is called after every change of a pool, however it came about, and compares what should be probed with what
is. A check that fails by itself costs a probe: it is logged with its name, told to the bus, and says nothing about the
backend.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

from txlb.errors import TxlbError
from txlb.events import EventBus, PluginFailed
from txlb.health_checks.addresses import target
from txlb.health_checks.gate import AT_ONCE, Gate
from txlb.health_checks.verdicts import Kind, Verdict, one_line
from txlb.health_checks.watch import Surroundings, Watch, WatchedBackend, WatchedPool
from txlb.interfaces import IProbesByName
from txlb.registry import Registry, health_checks
from txlb.specs import HealthSpec

COMPLAIN_EVERY = 60.0
"""Seconds between two complaints about the same trouble in a pool, which every probe of it may meet."""

log = Logger()


class Scheduler:
    """Probes the backends of any number of pools, `at_once` of them at a time.

    `reactor` is what checks do their I/O with; `clock` times them, and `rng` spreads them.
    """

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        rng: Random,
        bus: EventBus,
        registry: Registry | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self._reactor = reactor
        self._around = Surroundings(clock, rng, Gate(at_once))
        self._bus = bus
        self._registry = registry
        self._pools: dict[str, _PoolChecks] = {}

    def sync(self, pool: WatchedPool) -> None:
        """Probe what is in the pool now, as it says now; what has not changed is not disturbed."""
        known = self._pools.get(pool.name)
        if known is not None and (known.pool is not pool or known.health != pool.spec.health):
            self.forget(pool.name)
            known = None
        if known is None:
            if pool.spec.health is None or (known := self._begin(pool, pool.spec.health)) is None:
                return
            self._pools[pool.name] = known
        known.follow()

    def forget(self, pool_name: str) -> None:
        """Probe nothing of this pool any more."""
        if (known := self._pools.pop(pool_name, None)) is not None:
            known.stop()

    def stop(self) -> None:
        """Probe nothing any more; no timer and no connection is left."""
        for name in tuple(self._pools):
            self.forget(name)

    def _begin(self, pool: WatchedPool, health: HealthSpec) -> _PoolChecks | None:
        complain = _Complaints(self._around.clock, self._bus, pool.name, health.check)
        if self._registry is None:
            self._registry = health_checks()
        try:
            check = self._registry.build(
                health.check, health.options, reactor=self._reactor, clock=self._around.clock, rng=self._around.rng
            )
        except TxlbError as error:
            complain.broken(str(error), None)
            return None
        except BaseException as error:  # whatever a third party's constructor does
            complain.broken(one_line(f"{type(error).__name__}: {safe_str(error)}"), Failure())
            return None
        return _PoolChecks(self._around, pool, health, check, complain)


class _PoolChecks:
    """The watches of one pool, while its `health` stays the same."""

    def __init__(
        self, around: Surroundings, pool: WatchedPool, health: HealthSpec, check: Any, complain: _Complaints
    ) -> None:
        self.pool = pool
        self.health = health
        self._around = around
        self._check = check
        self._complain = complain
        self._watches: dict[str, Watch] = {}

    def follow(self) -> None:
        """Stop watching what is gone or has another address; watch what is new, spread over time."""
        _stop([self._watches.pop(name) for name, watch in tuple(self._watches.items()) if not self._same(name, watch)])
        new = [name for name in self.pool.backends if name not in self._watches]
        for place, name in enumerate(new):
            self._watches[name] = watch = self._watch(name, self.pool.backends[name])
            watch.start((place + self._around.rng.random()) / len(new))

    def stop(self) -> None:
        """Watch nothing any more."""
        _stop(list(self._watches.values()))
        self._watches.clear()

    def _same(self, name: str, watch: Watch) -> bool:
        backend = self.pool.backends.get(name)
        return backend is watch.backend and target(self.health, backend.spec) == watch.target

    def _watch(self, name: str, backend: WatchedBackend) -> Watch:
        where = target(self.health, backend.spec)
        return Watch(self._around, self.health, self._asker(name), where, backend, self._listener(name))

    def _asker(self, name: str) -> Callable[[str], Any]:
        check, pool = self._check, self.pool.name
        if IProbesByName.providedBy(check):
            return lambda connect: check.probe_named(connect, pool, name)
        return lambda connect: check.probe(connect)

    def _listener(self, name: str) -> Callable[[Verdict], None]:
        def heard(verdict: Verdict) -> None:
            if verdict.kind is Kind.BROKEN:
                self._complain.broken(verdict.reason, verdict.failure)
            elif verdict.kind is Kind.LOCAL:
                self._complain.local(verdict.reason)
            else:
                self.pool.observe(name, verdict.kind is Kind.OK, verdict.reason)

        return heard


def _stop(watches: list[Watch]) -> None:
    for watch in watches:
        watch.retire()
    for watch in watches:
        watch.stop()


class _Complaints:
    """Says once a minute what every probe of a pool may run into."""

    def __init__(self, clock: IReactorTime, bus: EventBus, pool: str, check: str) -> None:
        self._clock = clock
        self._bus = bus
        self._pool = pool
        self._check = check
        self._quiet_until: dict[Kind, float] = {}

    def broken(self, reason: str, failure: Failure | None) -> None:
        """The check itself is bad."""
        self._bus.publish(PluginFailed("health check", self._check, reason))
        if self._loud(Kind.BROKEN):
            words = "Health check {check} of pool {pool} is broken, its probes do not count: {reason}"
            if failure is None:
                log.error(words, check=self._check, pool=self._pool, reason=reason)
            else:
                log.failure(words, failure, check=self._check, pool=self._pool, reason=reason)

    def local(self, reason: str) -> None:
        """This process cannot probe."""
        if self._loud(Kind.LOCAL):
            words = "Health check {check} of pool {pool} lacks local resources, its probes do not count: {reason}"
            log.warn(words, check=self._check, pool=self._pool, reason=reason)

    def _loud(self, kind: Kind) -> bool:
        now = self._clock.seconds()
        if now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + COMPLAIN_EVERY
        return True
