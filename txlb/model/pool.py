"""The door of the model: acquire, wait, reconcile, look; `txlb.model.steering` has how it is changed by name.

A change of state marks the pool stale. The next `acquire`, or the next turn of the reactor, works out the new offer, so
that nobody ineligible is ever handed out, and the strategies are told once a turn however much changed in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txlb.events import EventBus, Panic
from txlb.model import report
from txlb.model.backend import Backend
from txlb.model.chain import Chain
from txlb.model.eligibility import backups, spares
from txlb.model.lease import Lease
from txlb.model.limits import Gauge, MakeGauge
from txlb.model.outliers import FAILURES
from txlb.model.overrides import Overrides
from txlb.model.queue import Queue, Ticket
from txlb.model.rebuilds import Rebuilds
from txlb.model.retry_budget import RetryBudget
from txlb.model.roster import Roster
from txlb.model.steering import Steered
from txlb.registry import Registry
from txlb.specs import PoolSpec

_NOBODY: frozenset[Backend] = frozenset()


class Pool(Steered):
    """A set of backends and the policy by which one of them is picked.

    What operators say at run time (`set_admin`, `set_weight`, `add`, `remove`) survives a reload. It lasts until the file
    itself changes that backend's value, or the backend leaves the file; an added backend stays until it is removed
    or until the file names it. The exact rule is in `txlb.model.overrides`.

    For reports: `offered` may be picked now, `full` are those of them at their maximum, `panic` says that the offer holds
    ineligible ones too, `refusals` counts by reason how often `acquire` had no lease to give, `refusal` is the last reason.
    """

    def __init__(
        self,
        spec: PoolSpec,
        strategies: Registry,
        clock: IReactorTime,
        rng: random.Random,
        bus: EventBus,
        make_gauge: MakeGauge = lambda name, limit: Gauge(limit),
    ) -> None:
        """Raises what the registry raises for a strategy that cannot be built."""
        self.name = spec.name
        self.spec = spec
        self._strategies, self._clock, self._rng, self._bus = strategies, clock, rng, bus
        self._gauge = make_gauge("", spec.max_connections)
        self._overrides = Overrides(spec.backends)
        self._queue = Queue(clock, self._acquire)
        self._settling: IDelayedCall | None = None
        self._stopped = False
        self._stale = True
        self.retries = RetryBudget(spec.retry_budget)
        self.retried = 0
        self.refusals = {"no-backend": 0, "full": 0, "pool-full": 0, "retry-budget": 0, "queue": 0, "no-pick": 0}
        self.refusal = ""
        self.offered: frozenset[Backend] = _NOBODY
        self.full: set[Backend] = set()
        self.panic = False
        self.chain = Chain(spec.strategy, strategies, clock, rng, bus)
        self._rebuilds = Rebuilds(clock, self.chain, self._serve_from)
        self._roster = Roster(spec, clock, bus, make_gauge, self._touched)
        self._roster.reconcile(spec, self._overrides.specs(), {}, {})
        self._settle()
        self._rebuilds.finish()

    @property
    def backends(self) -> dict[str, Backend]:
        """By name, ordered by name."""
        return self._roster.backends

    @property
    def queued(self) -> int:
        """How many clients wait."""
        return len(self._queue)

    @property
    def open(self) -> int:
        """Leases that are out."""
        return self._gauge.value

    def acquire(self, client: Any, exclude: frozenset[Backend] = _NOBODY) -> Lease | None:
        """A lease, counted from now on; None where there is none to be had (`refusal` says why).

        `exclude` holds the backends tried already for this client; where it is not empty this is a retry, which
        the retry budget has to allow. Nobody overtakes those who wait in the queue, except retries, and who takes what
        all of these have tried already.
        """
        if self._queue.tickets and not exclude:
            return self._acquire_unwanted(client)
        return self._acquire(client, exclude)

    def wait(
        self, client: Any, callback: Callable[[Lease | None], object], exclude: frozenset[Backend] = _NOBODY
    ) -> Ticket | None:
        """Wait for a lease; None where the pool has no queue or the queue is full, and for a retry (see `acquire`) also
        where the budget is spent or nothing is left to wait for.

        `callback` gets the lease, or None at the timeout; never from within this call.
        """
        ticket = None
        if not self._stopped and (not exclude or self._may_wait(exclude)):
            ticket = self._queue.join(self.spec.queue, client, callback, exclude)
        self._queue.serve_soon()
        return ticket

    def reconcile(self, spec: PoolSpec) -> None:
        """A reload or a discovery update: become this spec. Surviving backends keep their state; the same spec again
        changes nothing. Raises what the registry raises for a strategy, before anything has changed."""
        if spec == self.spec:
            return
        if spec.strategy != self.spec.strategy:
            self._rebuilds.replace(Chain(spec.strategy, self._strategies, self._clock, self._rng, self._bus))
        self._overrides.reconcile(spec.backends)
        self.spec = spec
        self._gauge.limit = spec.max_connections
        self.retries.spec = spec.retry_budget
        self._apply_overrides()

    def set_remote(self, name: str, active: int) -> None:
        """What all other workers together hold of a backend. Unknown names are ignored: they may have just left."""
        backend = self._roster.find(name)
        if backend is None:
            return
        backend.active += active - backend.remote
        backend.remote = active
        self._mark_full(backend)
        self._roster.forget_if_idle(backend)
        if self.chain.observes_load:
            self.chain.changed(backend)
        self._queue.serve_soon()

    def returned(self, lease: Lease, outcome: str) -> None:
        """The lease's part of a release: give back what it took and judge the backend."""
        backend = lease.backend
        backend.own -= 1
        backend.active -= 1
        backend.gauge.give()
        self._gauge.give()
        if backend in self.full:
            self._mark_full(backend)
        chain = self.chain
        if chain.observes_load:
            chain.changed(backend)
        if chain.observes_outcome:
            chain.released(backend, outcome)
        if outcome in FAILURES and not lease.heard:
            self._roster.failed(backend, outcome)
        if not backend.present:
            self._roster.forget_if_idle(backend)
        if self._queue.tickets:
            self._queue.serve_soon()

    def explain(self, client: Any) -> dict[str, Any]:
        """Which backend this client would get and why, and why not the others. Changes nothing."""
        if self._stale:
            self._refresh()
        return report.explain(self, client)

    def snapshot(self) -> dict[str, Any]:
        """The pool's state as in the contract."""
        return report.snapshot(self)

    def measurements(self) -> dict[str, Any]:
        """Histograms and counters beyond the snapshot."""
        return report.measurements(self)

    def stop(self) -> None:
        """Cancel every timer and send those away who wait. Leases that are out can still be released."""
        self._stopped = True
        self._queue.stop()
        self._rebuilds.stop()
        self._roster.stop()
        self._forget_settling()

    def retry_over(self) -> None:
        """A retry got through, or failed: another one may begin."""
        self.retries.give()
        self._queue.serve_soon()

    def _acquire(self, client: Any, exclude: frozenset[Backend]) -> Lease | None:
        if exclude:
            return self._acquire_retry(client, exclude)
        if self._stale:
            self._refresh()
        if len(self.full) >= len(self.offered):
            return self._refuse("full" if self.offered else "no-backend")
        return self._take(client, self.full, False)

    def _acquire_unwanted(self, client: Any) -> Lease | None:
        """One that is good for this client and for none of those who wait."""
        if self._stale:
            self._refresh()
        exclude = self.full | (self.offered - self._queue.tried)
        return self._refuse("queue") if self.offered <= exclude else self._take(client, exclude, False)

    def _may_wait(self, exclude: frozenset[Backend]) -> bool:
        hoped_for = self.offered.union(backups(self.backends.values()))
        return not hoped_for <= exclude and self.retries.allows(self._gauge.value)

    def _acquire_retry(self, client: Any, exclude: frozenset[Backend]) -> Lease | None:
        if not self.retries.allows(self._gauge.value):
            return self._refuse("retry-budget")
        if self._stale:
            self._refresh()
        excluded = self.full.union(exclude)
        lease = self._take_spare(excluded) if self.offered <= excluded else self._take(client, excluded, True)
        if lease is not None:
            self.retries.take()
            self.retried += 1
        return lease

    def _take(self, client: Any, exclude: set[Backend], retrying: bool) -> Lease | None:
        if not self._gauge.take():
            return self._refuse("pool-full")
        chain = self.chain
        backend = chain.pick(client, exclude, self.offered)
        while backend is None or not backend.gauge.take():
            if backend is not None:  # other workers filled it meanwhile
                self.full.add(backend)
                exclude.add(backend)
            elif not self._rebuilds.tell():  # else the strategies did not know yet who has come
                self._gauge.give()
                return self._refuse("no-pick")
            chain = self.chain
            backend = chain.pick(client, exclude, self.offered)
        return self._lease(backend, chain.picked_by, retrying)

    def _take_spare(self, exclude: set[Backend]) -> Lease | None:
        """All on offer were tried in vain: a backup can save this connection before health checks know. No strategy
        has a table of backups while primaries are eligible, so it is the least loaded one."""
        for backend in spares(self.backends.values(), exclude):
            if not self._gauge.take():
                return self._refuse("pool-full")
            if backend.gauge.take():
                return self._lease(backend, "backup", True)
            self._gauge.give()
        return self._refuse("full" if self.offered else "no-backend")

    def _lease(self, backend: Backend, strategy: str, retrying: bool) -> Lease:
        backend.own += 1
        backend.active += 1
        backend.total += 1
        if backend.active >= backend.limit:
            self._mark_full(backend)
        if self.chain.observes_load:
            self.chain.changed(backend)
        return Lease(self, backend, strategy, retrying)

    def _refuse(self, reason: str) -> Lease | None:
        self.refusals[reason] += 1
        self.refusal = reason
        return None

    def _mark_full(self, backend: Backend) -> None:
        if backend.active >= backend.limit and backend in self.offered:
            self.full.add(backend)
        else:
            self.full.discard(backend)

    def _apply_overrides(self) -> None:
        overrides = self._overrides
        self._roster.reconcile(self.spec, overrides.specs(), overrides.admin, overrides.weights)
        self._touched()

    def _touched(self) -> None:
        self._stale = True
        if self._settling is None and not self._stopped:
            self._settling = self._clock.callLater(0, self._settle)

    def _settle(self) -> None:
        self._forget_settling()
        if self._stale:
            self._refresh()
        self._rebuilds.tell()
        self._queue.serve_soon()

    def _forget_settling(self) -> None:
        if self._settling is not None and self._settling.active():
            self._settling.cancel()
        self._settling = None

    def _refresh(self) -> None:
        """Work out the new offer."""
        offer = self._roster.offer()
        self._stale = False
        self.offered = frozenset(offer.backends)
        self.full = {backend for backend in offer.backends if backend.active >= backend.limit}
        self._rebuilds.offer(offer.backends)
        if offer.panic is not self.panic:
            self.panic = offer.panic
            self._bus.publish(Panic(self.name, offer.panic, offer.eligible, offer.total))

    def _serve_from(self, chain: Chain) -> None:
        if chain is not self.chain:
            self.chain = chain
            if chain.observes_load:  # what changed while its table was built was told to the old one
                for backend in self.offered:
                    chain.changed(backend)
        self._queue.serve_soon()
