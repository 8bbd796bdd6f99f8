"""Tests for `txlb.health_checks.scheduler` and the watches: when is whom probed."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.health_checks.fakes import FakeBackend, FakePool, fake_pool, registry_of, silent
from txlb.errors import CheckFailed
from txlb.events import EventBus, PluginFailed
from txlb.health_checks import Scheduler
from txlb.model.states import AdminState
from txlb.specs import BackendSpec, HealthSpec


def good(_: str) -> Deferred[str]:
    """A backend that is well."""
    return succeed("fine")


class SchedulerBase(SynchronousTestCase):
    """Timetables on a clock that the test advances."""

    def scheduler(self, answer: Any = good, at_once: int = 64, name: str = "scripted") -> Scheduler:
        """A scheduler whose only check is a scripted one."""
        self.clock, self.bus = Clock(), EventBus()
        self.asked: list[tuple[float, str]] = []
        registry = registry_of(self.asked, answer, name)
        return Scheduler(None, self.clock, random.Random(1), self.bus, registry, at_once)

    def run_for(self, seconds: float, step: float = 0.01) -> None:
        """Advance in small steps."""
        self.clock.pump([step] * round(seconds / step))

    def times(self, name: str) -> list[float]:
        """When a backend was asked."""
        return [when for when, connect in self.asked if connect == f"tcp:{name}:1"]


class SchedulerTests(SchedulerBase):
    """Who is asked when."""

    def test_first_soon(self) -> None:
        """All first probes of 500 backends come within a second, none in a burst, and verdicts reach the pool."""
        pool = fake_pool(500, interval=10.0)
        self.scheduler().sync(pool)
        self.run_for(1.0)
        self.assertEqual(len(self.asked), 500)
        self.assertLessEqual(max(Counter(when for when, _ in self.asked).values()), 8)
        self.assertEqual({name for name, ok, _ in pool.observed if ok}, set(pool.backends))

    def test_spread_over_interval(self) -> None:
        """From the second probe on the whole interval is used: no second of it gets far more than its share."""
        self.scheduler().sync(fake_pool(500, interval=10.0))
        self.run_for(15.0, 0.05)
        self.asked.clear()
        self.run_for(40.0, 0.05)
        seconds = Counter(int(when) for when, _ in self.asked)
        self.assertEqual(len(seconds), 40)
        self.assertLess(max(seconds.values()), 80)
        self.assertApproximates(len(self.asked), 2000, 60)

    def test_interval_and_jitter(self) -> None:
        """Two probes of one backend are an interval apart, give or take a tenth."""
        self.scheduler().sync(fake_pool(1, interval=2.0))
        self.run_for(60.0)
        times = self.times("b0")[1:]
        gaps = [b - a for a, b in pairwise(times)]
        self.assertGreater(len(gaps), 20)
        self.assertTrue(all(1.79 < gap < 2.22 for gap in gaps), gaps)
        self.assertGreater(len({round(gap, 2) for gap in gaps}), 5)

    def test_deterministic(self) -> None:
        """The same random source gives the same timetable."""
        runs = []
        for _ in range(2):
            self.scheduler().sync(fake_pool(20))
            self.run_for(10.0)
            runs.append(self.asked)
        self.assertEqual(*runs)

    def test_down_interval(self) -> None:
        """While down, a backend is probed at the pace that was asked for."""
        self.scheduler(lambda c: fail(CheckFailed("no"))).sync(fake_pool(1, interval=10.0, down_interval=1.0))
        self.run_for(31.0)
        self.assertApproximates(len(self.asked), 30, 4)

    def test_never_overlapping(self) -> None:
        """A probe that lasts longer than the interval delays the next, which follows at once."""
        running = [0]

        def slow(_: str) -> Deferred[str]:
            self.assertEqual(running[0], 0)
            running[0] += 1
            answer: Deferred[str] = Deferred()
            self.clock.callLater(3.0, answer.callback, "slow")
            return answer.addCallback(lambda said: running.__setitem__(0, 0) or said)

        self.scheduler(slow).sync(fake_pool(1, interval=1.0, timeout=5.0))
        self.run_for(30.0)
        self.assertApproximates(len(self.asked), 10, 1)

    def test_bounded_at_once(self) -> None:
        """No more probes run than allowed, over all pools; the others follow when there is a place."""
        scheduler = self.scheduler(silent, at_once=3)
        scheduler.sync(fake_pool(10, timeout=5.0))
        self.run_for(2.0)
        self.assertEqual(len(self.asked), 3)
        self.run_for(4.0)
        self.assertEqual(len(self.asked), 6)

    def test_maint_and_drain(self) -> None:
        """In maintenance no probe goes out, and none is missing afterwards; draining goes on being checked."""
        pool = fake_pool(2, interval=1.0)
        pool.backends["b0"].admin = AdminState.MAINT
        pool.backends["b1"].admin = AdminState.DRAIN
        self.scheduler().sync(pool)
        self.run_for(5.0)
        self.assertEqual(self.times("b0"), [])
        self.assertGreaterEqual(len(self.times("b1")), 4)
        pool.backends["b0"].admin = AdminState.READY
        self.run_for(1.2)
        self.assertEqual(len(self.times("b0")), 1)

    def test_follows_changes(self) -> None:
        """What left is probed no more, what is new is, and what stayed keeps its timetable."""
        pool = fake_pool(2, interval=1.0)
        scheduler = self.scheduler()
        scheduler.sync(pool)
        self.run_for(3.0)
        del pool.backends["b0"]
        pool.backends["b7"] = FakeBackend(BackendSpec("b7", "tcp:b7:1"))
        before, stayed = len(self.times("b0")), len(self.times("b1"))
        for _ in range(50):
            scheduler.sync(pool)
            self.run_for(0.1)
        self.assertEqual(len(self.times("b0")), before)
        self.assertApproximates(len(self.times("b1")), stayed + 5, 1)
        self.assertApproximates(len(self.times("b7")), 5, 1)

    def test_new_address(self) -> None:
        """A probe under way to an address that is no longer right is cancelled and not heard."""
        cancelled: list[Any] = []
        pool = fake_pool(1)
        scheduler = self.scheduler(lambda c: Deferred(cancelled.append))
        scheduler.sync(pool)
        self.run_for(1.1)
        pool.backends["b0"].spec = evolve(pool.backends["b0"].spec, connect="tcp:other:1")
        scheduler.sync(pool)
        self.assertEqual((len(cancelled), pool.observed), (1, []))
        self.run_for(1.1)
        self.assertEqual(self.asked[-1][1], "tcp:other:1")

    def test_new_health_spec(self) -> None:
        """Another interval or check takes effect; None ends the checks."""
        pool = fake_pool(1, interval=100.0)
        scheduler = self.scheduler()
        scheduler.sync(pool)
        self.run_for(2.0)
        pool.spec = evolve(pool.spec, health=HealthSpec("scripted", interval=1.0))
        scheduler.sync(pool)
        self.run_for(5.0)
        self.assertGreaterEqual(len(self.asked), 5)
        pool.spec = evolve(pool.spec, health=None)
        scheduler.sync(pool)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """Nothing is left: neither a timer nor a probe, whether running or waiting; a place is given back."""
        cancelled: list[Any] = []
        scheduler = self.scheduler(lambda c: Deferred(cancelled.append), at_once=2)
        pools = [fake_pool(5), fake_pool(5)]
        pools[1].spec = evolve(pools[1].spec, name="other")
        for pool in pools:
            scheduler.sync(pool)
        self.run_for(0.9)
        scheduler.forget("web")
        self.run_for(0.1)
        self.assertEqual(len(self.asked), 3)
        scheduler.stop()
        self.assertEqual((self.clock.getDelayedCalls(), len(cancelled)), ([], 3))

    def test_forget_while_observed(self) -> None:
        """A pool may be forgotten, or lose the backend, from within `observe`: nothing goes on."""
        scheduler = self.scheduler()

        class Dropping(FakePool):
            def observe(self, name: str, ok: bool, reason: str) -> None:
                super().observe(name, ok, reason)
                scheduler.forget(self.name)

        pool = Dropping(fake_pool(3).spec)
        pool.backends = fake_pool(3).backends
        scheduler.sync(pool)
        self.run_for(5.0)
        self.assertEqual((len(pool.observed), self.clock.getDelayedCalls()), (1, []))


class ContainmentTests(SchedulerBase):
    """A bad check costs its probes, is named, and says nothing about a backend."""

    def test_broken_check(self) -> None:
        """It goes on being asked; the bus hears of each time, the log once a minute; the pool of none."""

        def raises(_: str) -> Any:
            raise KeyError("oops")

        scheduler = self.scheduler(raises)
        failures: list[PluginFailed] = []
        self.bus.subscribe(PluginFailed, failures.append)
        pool = fake_pool(3, interval=1.0)
        scheduler.sync(pool)
        self.run_for(30.0)
        self.assertGreater(len(self.asked), 80)
        self.assertEqual(pool.observed, [])
        self.assertEqual(len(failures), len(self.asked))
        self.assertEqual(failures[0], PluginFailed("health check", "scripted", "KeyError: 'oops'"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_check_that_cannot_be_built(self) -> None:
        """An unknown check, or options that it does not take, leave the pool unchecked, said loudly."""
        scheduler = self.scheduler()
        failures: list[PluginFailed] = []
        self.bus.subscribe(PluginFailed, failures.append)
        scheduler.sync(fake_pool(1, check="nowhere"))
        scheduler.sync(fake_pool(1, options={"colour": "red"}))
        self.run_for(2.0)
        self.assertEqual((self.asked, len(failures)), ([], 2))
        self.assertIn("nowhere", failures[0].reason)

    def test_local_trouble(self) -> None:
        """Without descriptors no backend goes down."""
        scheduler = self.scheduler(lambda c: fail(OSError(24, "Too many open files")))
        pool = fake_pool(3, interval=1.0)
        scheduler.sync(pool)
        self.run_for(5.0)
        self.assertGreater(len(self.asked), 10)
        self.assertEqual(pool.observed, [])

    def test_observe_raises(self) -> None:
        """Trouble in the pool neither ends the checks nor loses a place."""

        class Raising(FakePool):
            def observe(self, name: str, ok: bool, reason: str) -> None:
                raise KeyError(name)

        pool = Raising(fake_pool(1, interval=1.0).spec)
        pool.backends = fake_pool(1).backends
        self.scheduler(at_once=1).sync(pool)
        self.run_for(5.0)
        self.assertGreaterEqual(len(self.asked), 4)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), len(self.asked))
