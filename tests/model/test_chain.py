"""Strategies that misbehave cost one connection at most, and tables are built in slices while the old one serves."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import Nonsense, Slow, spec, world
from txlb.events import PluginFailed
from txlb.model.backend import Backend
from txlb.model.limits import Gauge
from txlb.specs import BackendSpec


class ContainmentTests(SynchronousTestCase):
    """A strategy can fail; the pool does not."""

    def test_next_in_the_chain(self):
        """One that raises everywhere is skipped, and the next one serves; nothing of it reaches the caller."""
        w = world("a", strategy="raises turns")
        lease = w.pool.acquire(None)
        lease.connected(0.1)
        lease.first_byte(0.1)
        lease.release("ok")
        self.assertEqual((lease.strategy, w.backend("a").active), ("turns", 0))
        self.assertTrue(self.flushLoggedErrors(RuntimeError))

    def test_nobody_left(self):
        """Alone in the chain it costs the connection, and the counts are as before."""
        w = world("a", strategy="raises")
        self.assertIsNone(w.pool.acquire(None))
        self.assertEqual((w.pool.refusal, w.pool.open, w.backend("a").active), ("no-pick", 0, 0))
        self.assertTrue(self.flushLoggedErrors(RuntimeError))

    def test_reports_are_limited(self):
        """A thousand failures in a second are one report; the next one says how many were not told."""
        w = world("a", strategy="raises")
        w.clock.advance(10)
        w.events.clear()
        w.take(1000)
        w.clock.advance(1)
        w.take(1)
        reasons = [event.reason for event in w.of(PluginFailed)]
        self.assertEqual(
            reasons,
            [
                "pick raised RuntimeError: no pick",
                "pick raised RuntimeError: no pick (999 more failures since the last report)",
            ],
        )
        self.assertEqual(w.of(PluginFailed)[0].name, "raises")
        self.flushLoggedErrors(RuntimeError)

    def test_nonsense(self):
        """What is no backend, cannot be hashed or belongs to another pool is not handed out."""
        stranger = Backend(BackendSpec("a", "tcp:a:1"), Gauge(), 0.0)
        for answer in ("a backend", 7, [], {}, object(), stranger):
            self.patch(Nonsense, "answer", answer)
            w = world("a", strategy="nonsense turns")
            self.assertIs(w.pool.acquire(None).backend, w.backend("a"))
            self.assertEqual(w.of(PluginFailed)[0].name, "nonsense")
        self.flushLoggedErrors()

    def test_excluded_pick(self):
        """One that ignores what is excluded is passed over."""
        w = world("a", "b", strategy="first turns")
        tried = frozenset({w.backend("a")})
        lease = w.pool.acquire(None, tried)
        self.assertEqual((lease.backend.name, lease.strategy), ("b", "turns"))
        self.assertIn("excluded", w.of(PluginFailed)[0].reason)

    def test_stubborn_about_a_stale_one(self):
        """One that names again what has just become ineligible is passed over, and does not loop."""
        w = world("a", "b", strategy="first turns")
        w.pool.set_admin("a", "drain", "test")
        self.assertEqual(w.pool.acquire(None).backend.name, "b")
        self.assertEqual(len(w.of(PluginFailed)), 1)


class ObserverTests(SynchronousTestCase):
    """Strategies learn when it happens, with what they asked for."""

    def test_told_in_order(self):
        """Load, connect, first byte, last byte and outcome of one connection."""
        w = world("a", strategy="watcher")
        lease = w.pool.acquire(None)
        lease.connected(0.1)
        lease.first_byte(0.2)
        lease.release("ok", duration=3.0)
        self.assertEqual(
            w.strategy().told,
            [
                ("changed", "a", 1),
                ("measured", "a", "connect", 0.1),
                ("measured", "a", "first-byte", 0.2),
                ("measured", "a", "last-byte", 3.0),
                ("changed", "a", 0),
                ("released", "a", "ok"),
            ],
        )

    def test_failures_have_no_time(self):
        """A refused or a broken connection is never told as a time: failures must not look fast."""
        w = world("a", strategy="watcher")
        w.pool.acquire(None).release("refused", duration=0.001)
        self.assertEqual([told for told in w.strategy().told if told[0] == "measured"], [])


class RebuildTests(SynchronousTestCase):
    """Long rebuilds run in slices."""

    def setUp(self):
        """Each step of the strategy takes 2 ms."""
        self.names = [f"b{number:02}" for number in range(20)]
        self.patch(Slow, "closed", 0)

    def test_old_table_serves(self):
        """Slices of at most 5 ms (and one step), in turns of their own; meanwhile the old table picks."""
        w = world(*self.names[:1], strategy="slow")
        self.patch(Slow, "clock", w.clock)
        w.pool.reconcile(spec(*self.names, strategy="slow"))
        w.one_turn()
        turns = 0
        while len(w.strategy().rebuilds) < 2:
            self.assertEqual(w.pool.acquire(None).backend.name, "b00")
            before = w.clock.seconds()
            w.one_turn()
            self.assertLessEqual(w.clock.seconds() - before, 0.007)
            turns += 1
        self.assertGreater(turns, 4)
        self.assertEqual(len({lease.backend.name for lease in w.take(20)}), 20)

    def test_newest_after_unfinished(self):
        """Changes in the middle of a rebuild wait until it is complete; of several the newest is taken, once."""
        w = world(*self.names, strategy="slow")
        self.patch(Slow, "clock", w.clock)
        w.pool.set_weight("b00", 3, "test")
        w.one_turn()
        w.one_turn()
        for weight in (5, 6, 7):
            w.pool.set_weight("b00", weight, "test")
            w.one_turn()
        for _ in range(40):
            w.one_turn()
        self.assertEqual(Slow.closed, 0)
        self.assertEqual(len(w.strategy().rebuilds), 3)
        self.assertEqual(dict(w.strategy().rebuilds[-1])["b00"], 700)
        self.assertEqual(w.clock.getDelayedCalls(), [])

    def test_changes_faster_than_a_rebuild(self):
        """Weights that change in every turn, as in a slow start, do not keep new tables from ever serving."""
        w = world(*self.names, strategy="slow")
        self.patch(Slow, "clock", w.clock)
        for number in range(60):
            w.pool.set_weight("b00", number % 7 + 1, "test")
            w.one_turn()
        self.assertGreater(len(w.strategy().rebuilds), 3)

    def test_another_chain_drops_unfinished(self):
        """A reload that changes the strategy begins at once: nobody waits for the table of one that is to leave."""
        w = world(*self.names, strategy="slow")
        self.patch(Slow, "clock", w.clock)
        w.pool.set_weight("b00", 3, "test")
        w.one_turn()
        w.pool.reconcile(spec(*self.names, strategy="turns"))
        w.one_turn()
        self.assertEqual((Slow.closed, w.pool.acquire(None).strategy), (1, "turns"))
        self.assertEqual(w.clock.getDelayedCalls(), [])

    def test_stale_picks_are_asked_again(self):
        """While it is rebuilt, a table that names what is gone is asked again; nobody ineligible is handed out."""
        w = world(*self.names, strategy="slow")
        self.patch(Slow, "clock", w.clock)
        for name in self.names[:9]:
            w.pool.set_admin(name, "maint", "test")
        w.one_turn()
        self.assertEqual({lease.backend.name for lease in w.take(40)}, set(self.names[9:]))
        self.assertEqual(w.of(PluginFailed), [])

    def test_new_strategy_takes_over_when_ready(self):
        """After a reload the old strategy serves until the new one's table is complete."""
        w = world(*self.names, strategy="turns")
        self.patch(Slow, "clock", w.clock)
        w.pool.reconcile(spec(*self.names, strategy="slow"))
        w.one_turn()
        self.assertEqual(w.pool.acquire(None).strategy, "turns")
        for _ in range(20):
            w.one_turn()
        self.assertEqual(w.pool.acquire(None).strategy, "slow")
        self.assertEqual(w.pool.snapshot()["strategy"], "slow")

    def test_new_strategy_knows_the_load(self):
        """What was acquired while its table was being built is told to a new strategy when it takes over."""
        w = world(*self.names, strategy="turns")
        self.patch(Slow, "clock", w.clock)
        w.pool.reconcile(spec(*self.names, strategy="slow watcher"))
        w.one_turn()
        name = w.pool.acquire(None).backend.name
        for _ in range(20):
            w.one_turn()
        self.assertIn(("changed", name, 1), w.strategy(1).told)

    def test_endless_first_table(self):
        """A first table that is never done holds up the start for a second only; the next strategy serves."""

        class Endless(Slow):
            def rebuild(self, backends):
                while True:
                    w.clock.rightNow += 0.01
                    yield

        self.patch(Slow, "clock", None)
        w = world("a", strategy="slow turns")
        self.patch(Slow, "rebuild", Endless.rebuild)
        w.pool._rebuilds.replace(w.pool.chain)
        w.pool._rebuilds.tell()
        w.pool._rebuilds.finish()
        self.assertAlmostEqual(w.clock.seconds(), 1.0, 1)
        self.assertEqual(w.pool.acquire(None).backend.name, "a")
        w.pool.stop()
        self.assertEqual(w.clock.getDelayedCalls(), [])

    def test_raising_step(self):
        """A step that raises is reported; the rest of the chain gets its table."""

        def steps(backends):
            yield
            raise RuntimeError("half way")

        w = world("a", strategy="slow turns")
        w.strategy().rebuild = steps
        w.pool.set_weight("a", 2, "test")
        for _ in range(5):
            w.one_turn()
        self.assertEqual(w.of(PluginFailed)[0].reason, "rebuild raised RuntimeError: half way")
        self.assertIsNotNone(w.pool.acquire(None))
        self.flushLoggedErrors(RuntimeError)
