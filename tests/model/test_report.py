"""What is seen from outside."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import specs, world
from txlb.model.histogram import BOUNDS, Histogram
from txlb.model.limits import ClientCounts, Gauge
from txlb.specs import BackendSpec, HealthSpec


class SnapshotTests(SynchronousTestCase):
    """The contract's state of a pool."""

    def test_keys(self):
        """The keys of the contract and the limits, as plain JSON."""
        w = world("a", strategy="watcher turns")
        shown = json.loads(json.dumps(w.pool.snapshot()))
        self.assertEqual((shown["strategy"], shown["queued"]), ("watcher, turns", 0))
        self.assertEqual(
            set(shown["backends"]["a"]),
            set(
                [
                    "connect",
                    "weight",
                    "effective_weight",
                    "admin",
                    "health",
                    "outlier",
                    "eligible",
                    "reason",
                    "open",
                    "total",
                    "outcomes",
                    "bytes_in",
                    "bytes_out",
                    "connect_ms",
                    "first_byte_ms",
                    "checks",
                    "max_connections",
                    "backup",
                ]
            ),
        )
        self.assertIsNone(shown["backends"]["a"]["connect_ms"])

    def test_weights(self):
        """`weight` is what was asked for, in the file's scale; `effective_weight` what strategies see."""
        w = world("a", "b", slow_start=10.0, health=HealthSpec(rise=1, fall=1))
        w.pool.set_weight("a", 4, "x")
        w.pool.observe("a", False, "x")
        w.pool.observe("a", True, "x")
        shown = w.pool.snapshot()["backends"]["a"]
        self.assertEqual((shown["weight"], shown["effective_weight"]), (4, 40))

    def test_checks_are_counted(self):
        """Every verdict of a check counts, whether or not it changes anything."""
        w = world("a", health=HealthSpec())
        for ok in (True, True, False):
            w.pool.observe("a", ok, "x")
        self.assertEqual(w.pool.snapshot()["backends"]["a"]["checks"], {"passed": 2, "failed": 1})

    def test_measurements(self):
        """Bucket counts and sums for each time, and refusals by reason."""
        w = world(*specs("a", max_connections=1))
        lease = w.pool.acquire(None)
        lease.connected(0.003)
        lease.first_byte(0.004)
        w.pool.acquire(None)
        lease.release("ok", duration=2.0)
        seen = w.pool.measurements()
        counts, total = seen["backends"]["a"]["connect"]
        self.assertEqual((counts[BOUNDS.index(0.005)], sum(counts), total), (1, 1, 0.003))
        self.assertEqual((seen["backends"]["a"]["duration"][1], seen["refusals"]["full"]), (2.0, 1))


class ExplainTests(SynchronousTestCase):
    """Why this one."""

    def test_pick_and_reasons(self):
        """The pick is what `acquire` would give by the scores; every backend has its reason; nothing changes."""
        w = world(
            "a",
            "b",
            *specs("c", max_connections=0),
            BackendSpec("z", "tcp:z:1", backup=True),
            strategy="watcher",
            health=HealthSpec(),
        )
        w.take(1)
        w.pool.set_admin("b", "drain", "x")
        before = w.pool.snapshot()
        seen = json.loads(json.dumps(w.pool.explain(None)))
        self.assertEqual((seen["pick"], seen["why"], seen["strategy"]), ("a", "1 open", "watcher"))
        self.assertEqual(
            {name: shown["reason"] for name, shown in seen["backends"].items()},
            {
                "a": "not checked",
                "b": "in drain by the operator",
                "c": "at its maximum of 0 connections",
                "z": "a backup, used while no other is eligible",
            },
        )
        self.assertEqual(w.pool.snapshot(), before)

    def test_panic(self):
        """In panic it says that an ineligible one is used."""
        w = world("a", health=HealthSpec(), strategy="watcher")
        w.pool.observe("a", False, "refused")
        seen = w.pool.explain(None)
        self.assertEqual(
            (seen["panic"], seen["pick"], seen["backends"]["a"]["reason"]),
            (True, "a", "used in panic, although down: refused"),
        )

    def test_without_a_pick(self):
        """It says why there is none: nobody eligible, everybody full, or a strategy that cannot say."""
        self.assertEqual(world().pool.explain(None)["why"], "no backend is eligible")
        self.assertEqual(
            world(*specs("a", max_connections=0), strategy="watcher").pool.explain(None)["why"],
            "every backend is at its maximum",
        )
        self.assertEqual(world("a").pool.explain(None)["why"], "turns does not explain itself")

    def test_raising_scores(self):
        """A strategy that raises in `scores` is passed over."""
        w = world("a", strategy="raises watcher")
        self.assertEqual(w.pool.explain(None)["pick"], "a")
        self.flushLoggedErrors(RuntimeError)


class HistogramTests(SynchronousTestCase):
    """Counting times."""

    def test_buckets(self):
        """A bound belongs to its bucket; what is beyond the last goes to the open one."""
        histogram = Histogram()
        for seconds in (0.0, 0.0001, 0.00011, 1.0, 5000.0):
            histogram.add(seconds)
        self.assertEqual((histogram.counts[0], histogram.counts[1], histogram.counts[-1]), (2, 1, 1))
        self.assertEqual(histogram.counts[BOUNDS.index(1.0)], 1)
        self.assertEqual(list(BOUNDS), sorted(set(BOUNDS)))

    def test_recent(self):
        """The smoothed mean begins with the first sample and follows a lasting change."""
        histogram = Histogram()
        self.assertIsNone(histogram.recent_ms)
        histogram.add(0.1)
        self.assertEqual(histogram.recent_ms, 100.0)
        for _ in range(100):
            histogram.add(0.2)
        self.assertAlmostEqual(histogram.recent_ms, 200.0, 1)


class LimitsTests(SynchronousTestCase):
    """Counters that say no."""

    def test_gauge(self):
        """Up to its limit, never under zero; no limit lets all through."""
        gauge = Gauge(2)
        self.assertEqual([gauge.take() for _ in range(3)], [True, True, False])
        gauge.give()
        gauge.give()
        self.assertRaises(ValueError, gauge.give)
        self.assertTrue(all(Gauge().take() for _ in range(10)))

    def test_clients(self):
        """Each address has its own limit, and nothing is kept of those that hold nothing."""
        counts = ClientCounts(2)
        self.assertEqual(
            [counts.take("a"), counts.take("a"), counts.take("a"), counts.take("b")], [True, True, False, True]
        )
        counts.give("a")
        self.assertEqual((counts.value("a"), counts.value("b"), counts.value("c")), (1, 1, 0))
        counts.give("a")
        counts.give("b")
        self.assertEqual(len(counts), 0)
        self.assertRaises(ValueError, counts.give, "a")
        self.assertEqual(ClientCounts(0).take("a"), False)
        self.assertEqual(len(counts), 0)
