"""Acquiring and releasing, who is offered, limits, retries and panic."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.model.fakes import spec, specs, world
from txlb.events import Panic
from txlb.interfaces import IBackend, Outcome
from txlb.specs import BackendSpec, HealthSpec, RetryBudgetSpec, StrategySpec


class AcquireTests(SynchronousTestCase):
    """What a lease counts, and when."""

    def test_counts_before_dialling(self):
        """The connection counts from `acquire` on, and no longer after its release."""
        w = world("a")
        lease = w.pool.acquire(None)
        self.assertEqual((lease.backend.active, lease.backend.total, w.pool.open), (1, 1, 1))
        lease.connected(0.001)
        lease.first_byte(0.002)
        lease.release(Outcome.OK, 10, 20, 1.0)
        self.assertEqual((lease.backend.active, lease.backend.total, w.pool.open), (0, 1, 0))
        shown = w.pool.snapshot()["backends"]["a"]
        self.assertEqual((shown["bytes_in"], shown["bytes_out"], shown["outcomes"]["ok"]), (10, 20, 1))
        self.assertEqual((shown["connect_ms"], shown["first_byte_ms"]), (1.0, 2.0))

    def test_release_only_once(self):
        """A second release raises and counts nothing."""
        w = world("a")
        lease = w.pool.acquire(None)
        lease.release("ok")
        self.assertRaises(RuntimeError, lease.release, "ok")
        self.assertEqual((w.backend("a").active, w.backend("a").outcomes["ok"]), (0, 1))

    def test_unknown_outcome(self):
        """An outcome outside the contract is refused and the lease stays out."""
        w = world("a")
        lease = w.pool.acquire(None)
        self.assertRaises(ValueError, lease.release, "fine")
        self.assertFalse(lease.released)
        lease.release("ok")

    def test_backend_provides_its_interface(self):
        """A backend is what strategies were promised: ordered by name, hashed by identity."""
        w = world("b", "a")
        first, second = w.pool.backends.values()
        self.assertTrue(verifyObject(IBackend, first))
        self.assertEqual([first.name, second.name], ["a", "b"])
        self.assertLess(first, second)
        self.assertEqual(len({first, second, first}), 2)

    def test_names_the_strategy(self):
        """The lease says which strategy of the chain picked."""
        self.assertEqual(world("a", strategy="watcher turns").pool.acquire(None).strategy, "watcher")

    def test_empty_pool(self):
        """A pool without backends refuses, and says why."""
        w = world()
        self.assertIsNone(w.pool.acquire(None))
        self.assertEqual((w.pool.refusal, w.pool.refusals["no-backend"]), ("no-backend", 1))

    def test_unknown_strategy_changes_nothing(self):
        """A reload with a strategy that cannot be built raises before it touches the pool."""
        w = world("a")
        wrong = spec("b", strategy="nobody-wrote-this")
        self.assertRaisesRegex(Exception, "nobody-wrote-this", w.pool.reconcile, wrong)
        self.assertEqual((list(w.pool.backends), w.pool.spec.strategy), (["a"], (StrategySpec("turns"),)))


class LimitTests(SynchronousTestCase):
    """Nobody gets more than its maximum."""

    def test_full_backend_is_excluded(self):
        """At its maximum a backend is passed over; after a release it is picked again."""
        w = world(BackendSpec("a", "tcp:a:1", max_connections=1), "b")
        leases = w.take(4)
        self.assertEqual(sorted(lease.backend.name for lease in leases), ["a", "b", "b", "b"])
        next(lease for lease in leases if lease.backend.name == "a").release("ok")
        self.assertIn("a", [lease.backend.name for lease in w.take(2)])

    def test_everything_full(self):
        """All at their maximum: no lease, without asking the strategy."""
        w = world(*specs("a", "b", max_connections=1))
        w.take(2)
        before = w.strategy().next
        self.assertIsNone(w.pool.acquire(None))
        self.assertEqual((w.pool.refusal, w.strategy().next), ("full", before))

    def test_pool_maximum(self):
        """The pool's own maximum holds over all backends, and a reload can raise it."""
        w = world("a", "b", max_connections=2)
        self.assertEqual([lease is None for lease in w.take(3)], [False, False, True])
        self.assertEqual(w.pool.refusal, "pool-full")
        w.pool.reconcile(spec("a", "b", max_connections=3))
        self.assertIsNotNone(w.pool.acquire(None))

    def test_lower_maximum(self):
        """A maximum that sinks under what is open takes nothing new until enough has ended."""
        w = world("a")
        leases = w.take(3)
        w.pool.reconcile(spec(*specs("a", max_connections=2)))
        self.assertIsNone(w.pool.acquire(None))
        leases[0].release("ok")
        self.assertIsNone(w.pool.acquire(None))
        leases[1].release("ok")
        self.assertIsNotNone(w.pool.acquire(None))

    def test_remote_counts(self):
        """What other workers hold counts towards the maximum and is seen by strategies."""
        w = world(*specs("a", max_connections=3), strategy="watcher")
        w.take(1)
        w.pool.set_remote("a", 2)
        self.assertEqual(w.backend("a").active, 3)
        self.assertIn(("changed", "a", 3), w.strategy().told)
        self.assertIsNone(w.pool.acquire(None))
        w.pool.set_remote("a", 0)
        self.assertEqual(w.backend("a").active, 1)
        self.assertIsNotNone(w.pool.acquire(None))
        w.pool.set_remote("nobody", 3)

    def test_shared_gauge_has_the_last_word(self):
        """A gauge that other workers filled makes the pool ask for another backend."""

        class Filled:
            limit = value = 0

            def __init__(self, name):
                self.name = name

            def take(self):
                return self.name != "a"

            def give(self):
                pass

        w = world("a", "b", make_gauge=lambda name, limit: Filled(name))
        self.assertEqual({lease.backend.name for lease in w.take(5)}, {"b"})
        w = world("a", make_gauge=lambda name, limit: Filled(name))
        self.assertEqual(w.take(2), [None, None])


class OfferTests(SynchronousTestCase):
    """Which backends strategies see."""

    def test_admin_states(self):
        """Drain and maint take nothing new, at once and before the strategies were told."""
        for state in ("drain", "maint"):
            w = world("a", "b")
            w.pool.set_admin("a", state, "test")
            self.assertEqual({lease.backend.name for lease in w.take(4)}, {"b"})
            w.pool.set_admin("a", "ready", "test")
            w.turn()
            self.assertEqual({lease.backend.name for lease in w.take(4)}, {"a", "b"})

    def test_weight_zero(self):
        """Weight 0 takes nothing new and is not shown to strategies."""
        w = world("a", BackendSpec("b", "tcp:b:1", weight=0))
        self.assertEqual(w.strategy().rebuilds, [[("a", 100)]])
        self.assertEqual(w.backend("b").reason, "weight 0")

    def test_weight_that_becomes_zero(self):
        """A strategy that has not been told yet never sees a weight of 0; the backend gets nothing all the same."""
        w = world("a", "b")
        w.pool.set_weight("a", 0, "test")
        self.assertEqual((w.backend("a").weight, w.backend("a").effective_weight), (100, 0))
        self.assertEqual({lease.backend.name for lease in w.take(4)}, {"b"})
        self.assertEqual(w.pool.snapshot()["backends"]["a"]["effective_weight"], 0)

    def test_backups(self):
        """Backups come in when no primary is eligible, and go when one returns."""
        w = world("a", BackendSpec("z", "tcp:z:1", backup=True), health=HealthSpec(rise=1, fall=1))
        self.assertEqual({lease.backend.name for lease in w.take(3)}, {"a"})
        w.pool.observe("a", False, "refused")
        self.assertEqual({lease.backend.name for lease in w.take(3)}, {"z"})
        self.assertFalse(w.pool.panic)
        w.pool.observe("a", True, "ok")
        self.assertEqual({lease.backend.name for lease in w.take(3)}, {"a"})

    def test_one_rebuild_a_turn(self):
        """Many changes in one turn are one rebuild."""
        w = world("a", "b", "c", "d")
        for name in "abc":
            w.pool.set_weight(name, 5, "test")
        w.turn()
        self.assertEqual(len(w.strategy().rebuilds), 2)
        self.assertEqual(w.strategy().rebuilds[-1], [("a", 500), ("b", 500), ("c", 500), ("d", 100)])

    def test_no_change_no_rebuild(self):
        """A change that leaves the offer as it was tells the strategies nothing."""
        w = world("a", "b")
        w.pool.observe("a", True, "ok")
        w.turn()
        self.assertEqual(len(w.strategy().rebuilds), 1)

    def test_new_backend_before_the_rebuild(self):
        """Where the strategies' table is empty and somebody has just come, they are told at once."""
        w = world()
        w.pool.add(BackendSpec("a", "tcp:a:1"), "test")
        self.assertEqual(w.pool.acquire(None).backend.name, "a")


class PanicTests(SynchronousTestCase):
    """Under the threshold it is likelier that the checks are wrong."""

    def test_enters_and_leaves(self):
        """Under half eligible all ready ones are used; one event on each side."""
        w = world("a", "b", "c", health=HealthSpec(rise=1, fall=1))
        w.pool.observe("a", False, "x")
        w.turn()
        self.assertEqual({lease.backend.name for lease in w.take(6)}, {"b", "c"})
        w.pool.observe("b", False, "x")
        w.turn()
        self.assertEqual({lease.backend.name for lease in w.take(6)}, {"a", "b", "c"})
        w.turn()
        w.pool.observe("b", True, "x")
        w.turn()
        self.assertEqual(w.of(Panic), [Panic("p", True, 1, 3), Panic("p", False, 2, 3)])
        self.assertEqual({lease.backend.name for lease in w.take(6)}, {"b", "c"})

    def test_never_what_the_operator_took_out(self):
        """In panic, drain and maint still get nothing, and they do not bring panic about."""
        w = world("a", "b", "c", "d", health=HealthSpec(rise=1, fall=1))
        for name, state in (("a", "drain"), ("b", "maint")):
            w.pool.set_admin(name, state, "test")
        w.turn()
        self.assertFalse(w.pool.panic)
        for name in "abcd":
            w.pool.observe(name, False, "x")
        self.assertEqual({lease.backend.name for lease in w.take(6)}, {"c", "d"})

    def test_off(self):
        """A threshold of 0 turns it off: all down means no lease."""
        w = world("a", "b", panic_threshold=0, health=HealthSpec())
        w.pool.observe("a", False, "x")
        w.pool.observe("b", False, "x")
        self.assertIsNone(w.pool.acquire(None))


class RetryTests(SynchronousTestCase):
    """Further tries stay within the budget and go elsewhere."""

    def test_goes_elsewhere(self):
        """What was tried is excluded; when all were, there is none."""
        w = world("a", "b")
        tried = frozenset({w.backend("a")})
        self.assertEqual(w.pool.acquire(None, tried).backend.name, "b")
        self.assertIsNone(w.pool.acquire(None, tried | {w.backend("b")}))

    def test_budget(self):
        """No more retries under way than the budget; one that connected or failed makes room."""
        w = world("a", "b", retry_budget=RetryBudgetSpec(percent=20, least=2))
        tried = frozenset({w.backend("a")})
        first, second = w.pool.acquire(None, tried), w.pool.acquire(None, tried)
        self.assertIsNone(w.pool.acquire(None, tried))
        self.assertEqual(w.pool.refusal, "retry-budget")
        first.connected(0.1)
        third = w.pool.acquire(None, tried)
        self.assertIsNotNone(third)
        second.release("refused")
        self.assertIsNotNone(w.pool.acquire(None, tried))
        first.release("ok")
        self.assertEqual(w.pool.retries.under_way, 2)

    def test_grows_with_the_pool(self):
        """20 % of 50 open connections are ten retries."""
        w = world("a", "b")
        w.take(50)
        tried = frozenset({w.backend("a")})
        self.assertEqual(sum(w.pool.acquire(None, tried) is not None for _ in range(30)), 12)
