"""What holds in a pool whatever happens to it, and in whatever order."""

from __future__ import annotations

import json
from collections import Counter

from attrs import evolve, frozen
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import spec, specs, world
from txlb.events import PluginFailed
from txlb.interfaces import Outcome
from txlb.model.states import AdminState, HealthState, OutlierState
from txlb.registry import strategies
from txlb.specs import BackendSpec, HealthSpec, OutlierSpec, QueueSpec

NAMES = "abcde"


@frozen
class Client:
    """Who asks."""

    host: str = "192.0.2.7"
    port: int = 5
    listener: str = "web"


names = st.sampled_from(NAMES)
backends = st.builds(
    lambda name, weight, limit, backup: BackendSpec(name, f"tcp:{name}:1", weight, limit, backup),
    names,
    st.integers(0, 3),
    st.none() | st.integers(0, 3),
    st.booleans(),
)
CLIENT = Client()
LOCAL = ("local-error", "rejected", "drained", "reset-by-client")


class PoolMachine(RuleBasedStateMachine):
    """A pool under clients, operators, checks, reloads, other workers and time."""

    strategy = "watcher"

    @initialize(
        count=st.integers(0, 5),
        maximum=st.none() | st.integers(1, 6),
        threshold=st.sampled_from([0, 50]),
        slow=st.booleans(),
    )
    def begin(self, count, maximum, threshold, slow):
        """A pool with short ejections and a short queue."""
        self.w = world(
            *specs(*NAMES[:count], max_connections=2),
            strategy=self.strategy,
            max_connections=maximum,
            panic_threshold=threshold,
            slow_start=4.0 if slow else 0.0,
            health=HealthSpec(rise=1, fall=2),
            queue=QueueSpec(size=4, timeout=3.0),
            outliers=OutlierSpec(failures=2, ejection=5.0, max_ejection=12.0),
        )
        self.pool = self.w.pool
        self.leases = []
        self.retrying = set()
        self.tickets = {}
        self.served = []
        self.number = 0

    def took(self, lease):
        """What is true of every new lease."""
        backend = lease.backend
        assert backend.present and backend.admin is AdminState.READY and backend.effective_weight > 0 < backend.weight
        assert backend.eligible or self.pool.panic
        assert backend.active <= backend.limit or backend.remote
        self.leases.append(lease)

    @rule(tried=st.sets(names))
    def acquire(self, tried):
        """A first try or a retry."""
        exclude = frozenset(self.pool.backends[name] for name in tried if name in self.pool.backends)
        before = {b.name: b.active for b in self.pool.backends.values()}
        lease = self.pool.acquire(CLIENT, exclude)
        if lease is None:
            assert before == {b.name: b.active for b in self.pool.backends.values()}
            return
        assert lease.backend not in exclude
        assert before[lease.backend.name] + 1 == lease.backend.active <= lease.backend.limit
        self.took(lease)
        if exclude:
            self.retrying.add(lease)

    @rule(tried=st.sets(names))
    def wait(self, tried):
        """One more in the queue, who may have tried some already."""
        exclude = frozenset(self.pool.backends[name] for name in tried if name in self.pool.backends)
        number = self.number = self.number + 1

        def served(lease):
            del self.tickets[number]
            if lease is not None:
                assert lease.backend not in exclude
                if not exclude:
                    self.served.append(number)
                else:
                    self.retrying.add(lease)
                self.took(lease)

        ticket = self.pool.wait(CLIENT, served, exclude)
        if ticket is not None:
            self.tickets[number] = ticket

    @rule(data=st.data())
    def leave_the_queue(self, data):
        """A client that waited has gone."""
        if self.tickets:
            self.tickets.pop(data.draw(st.sampled_from(sorted(self.tickets)))).cancel()

    @rule(data=st.data(), step=st.sampled_from(["connected", "first_byte"]))
    def proceed(self, data, step):
        """A dial succeeded, or the backend spoke."""
        if self.leases:
            lease = data.draw(st.sampled_from(self.leases))
            getattr(lease, step)(0.01)
            if step == "connected":
                self.retrying.discard(lease)

    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)))
    def release(self, data, outcome):
        """One connection ends; if it was nobody's fault, no state changes."""
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(self.leases))
        self.leases.remove(lease)
        self.retrying.discard(lease)
        backend = lease.backend
        before = (backend.health, backend.outlier, backend.failures, backend.effective_weight, backend.eligible)
        lease.release(outcome, 1, 1, 0.5)
        if outcome in LOCAL:
            assert before == (
                backend.health,
                backend.outlier,
                backend.failures,
                backend.effective_weight,
                backend.eligible,
            )

    @rule(name=names, ok=st.booleans(), passive=st.booleans())
    def observe(self, name, ok, passive):
        """A verdict."""
        self.pool.observe(name, ok, "seen", passive)

    @rule(name=names, state=st.sampled_from(list(AdminState)), weight=st.integers(0, 3))
    def operate(self, name, state, weight):
        """An operator changes a backend."""
        if name in self.pool.backends:
            self.pool.set_admin(name, state.value, "test")
            self.pool.set_weight(name, weight, "test")

    @rule(backend=backends)
    def add_or_remove(self, backend):
        """An operator adds a backend, or removes the one of that name."""
        if backend.name in self.pool.backends:
            self.pool.remove(backend.name, "test")
        else:
            self.pool.add(backend, "test")

    @rule(listed=st.lists(backends, max_size=5, unique_by=lambda b: b.name))
    def reload(self, listed):
        """Another file; the same one a second time changes nothing."""
        changed = evolve(self.pool.spec, backends=tuple(listed))
        self.pool.reconcile(changed)
        before = (self.pool.snapshot(), self.pool.overrides(), dict(self.pool.backends))
        self.pool.reconcile(
            spec(
                *listed,
                strategy=self.strategy,
                **{
                    field: getattr(changed, field)
                    for field in ("max_connections", "panic_threshold", "slow_start", "health", "queue", "outliers")
                },
            )
        )
        assert before == (self.pool.snapshot(), self.pool.overrides(), dict(self.pool.backends))

    @rule(name=names, active=st.integers(0, 3))
    def other_workers(self, name, active):
        """Another process took or released connections."""
        self.pool.set_remote(name, active)

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 7.0]))
    def time(self, seconds):
        """Time passes; afterwards the pool has settled."""
        self.w.clock.pump([0.0, *[0.5] * int(seconds * 2), 0.0])
        pool = self.pool
        ejected = [b for b in pool.backends.values() if b.outlier is OutlierState.EJECTED]
        assert len(ejected) <= len(pool.backends) // 2
        if ejected and not any(b.eligible and b.effective_weight for b in pool.backends.values()):
            assert not any(
                b.effective_weight and b.admin is AdminState.READY and b.health is not HealthState.DOWN for b in ejected
            )
        maximum = pool.spec.max_connections
        for ticket in self.tickets.values() if maximum is None or pool.open < maximum else ():
            spent = ticket.tried and not pool.retries.allows(pool.open)
            assert spent or pool.offered <= pool.full | ticket.tried

    @invariant()
    def counts(self):
        """Σ own is what is out, nothing is negative, and what strategies were told is true."""
        held = Counter(lease.backend for lease in self.leases)
        pool = self.pool
        assert pool.open == len(self.leases)
        assert pool.retries.under_way == len(self.retrying)
        told = {told[1]: told[2] for told in self.w.strategy(-1).told if told[0] == "changed"}
        for backend in {*pool.backends.values(), *held}:
            assert backend.own == held[backend] == backend.gauge.value
            assert backend.active == backend.own + backend.remote >= 0
            assert backend.total == backend.own + sum(backend.outcomes.values())
            assert told.get(backend.name, 0) == backend.active

    @invariant()
    def sums(self):
        """What the roster counts along the way is what counting anew gives."""
        found = self.pool.backends.values()
        assert self.pool._roster.available == sum(b.eligible and b.effective_weight > 0 for b in found)
        assert self.pool._roster.ejected == sum(b.outlier is OutlierState.EJECTED for b in found)

    @invariant()
    def queue(self):
        """Who came first was served first, and the pool knows who waits."""
        assert self.served == sorted(self.served)
        assert self.pool.queued == len(self.tickets) <= 4

    @invariant()
    def plain(self):
        """State and overrides are plain data at any time."""
        json.dumps([self.pool.snapshot(), self.pool.overrides(), self.pool.measurements(), self.pool.explain(CLIENT)])

    def teardown(self):
        """In the end all is given back, and no timer is left."""
        if not hasattr(self, "w"):
            return
        self.pool.stop()
        for lease in self.leases:
            lease.release("drained")
        assert (self.pool.open, self.pool.queued, self.pool.retries.under_way) == (0, 0, 0)
        assert self.w.clock.getDelayedCalls() == []


class PoolPropertyTests(SynchronousTestCase):
    """The machine above, run."""

    def run_machine(self, machine, examples):
        """So many random stories."""
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_any_order_of_events(self):
        """Counts, limits, eligibility, ejection, queue and reloads hold together whatever happens."""
        self.run_machine(PoolMachine, 60)

    def test_every_strategy(self):
        """The same with each of the installed strategies, none of which ever raises or picks what it was not offered."""

        class Machine(PoolMachine):
            @invariant()
            def contained_nothing(self):
                assert not self.w.of(PluginFailed), self.w.of(PluginFailed)

        for name in strategies().names():
            Machine.strategy = f"{name} watcher"
            self.run_machine(Machine, 8)
