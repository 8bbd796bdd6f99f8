"""Limits over several workers, under every order of their steps."""

from __future__ import annotations

import itertools
import os
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.workers.turns import SteppedTable, Turns
from txlb.workers.gauges import Gauges, SharedClientCounts, SharedGauge
from txlb.workers.table import ROW, SLOTS, Table

SLOT = 9
WORKERS = 3

orders = st.lists(st.integers(0, WORKERS - 1), max_size=120)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class World:
    """Workers that take and give under one limit, and how many places they hold between them."""

    def __init__(self, order: list[int], limit: int) -> None:
        self.turns = Turns(itertools.chain(order, itertools.cycle(range(WORKERS))))
        self.table: Any = SteppedTable(self.turns, WORKERS)
        self.later: list[Any] = []
        self.gauges = [SharedGauge(self.table, n, SLOT, limit, self.later.append) for n in range(WORKERS)]
        self.limit = limit
        self.held = 0
        self.most = 0

    def worker(self, number: int, does: str) -> None:
        """`t` takes one, `g` gives one back that was got, `p` asks for places and uses them all."""
        gauge, got = self.gauges[number], 0
        for what in does:
            if what == "g" and got:
                got -= 1
                self.held -= 1
                gauge.give()
            elif what == "t":
                got += self.took(gauge)
            elif what == "p":
                places = gauge.places()
                for _ in range(min(places, 2)):
                    taken = self.took(gauge)
                    assert taken, "a place that was set aside was not there"
                    got += taken

    def took(self, gauge: SharedGauge) -> bool:
        """Take one."""
        if not gauge.take():
            return False
        self.held += 1
        self.most = max(self.most, self.held)
        return True


class SharedGaugeTests(SynchronousTestCase):
    """Never more than the limit, and no less while there is demand."""

    @quick
    @given(orders, st.lists(st.text("tg", max_size=6), min_size=WORKERS, max_size=WORKERS), st.integers(1, 8))
    def test_never_exceeded(self, order: list[int], does: list[str], limit: int) -> None:
        """Whatever is taken and given in whatever order of steps: the limit holds, and the counters agree at the end."""
        world = World(order, limit)
        world.turns.run(*(lambda n=n: world.worker(n, does[n]) for n in range(WORKERS)))
        self.assertLessEqual(world.most, limit)
        self.assertEqual(sum(column.values[SLOT] for column in world.table.cells), world.held)
        self.assertEqual(sum(gauge.own for gauge in world.gauges), world.held)

    @quick
    @given(orders, st.integers(1, 8))
    def test_reached(self, order: list[int], limit: int) -> None:
        """Where more is wanted than there is, all of it is taken, in whatever order of steps."""
        world = World(order, limit)
        world.turns.run(*(lambda n=n: world.worker(n, "tttt") for n in range(WORKERS)))
        self.assertEqual(world.held, min(limit, 12))

    @quick
    @given(orders, st.lists(st.text("tp", max_size=4), min_size=WORKERS, max_size=WORKERS), st.integers(1, 8))
    def test_places_are_kept(self, order: list[int], does: list[str], limit: int) -> None:
        """Places that an engine was told of are there when it uses them; those it does not use are free again later."""
        world = World(order, limit)
        world.turns.run(*(lambda n=n: world.worker(n, does[n]) for n in range(WORKERS)))
        self.assertLessEqual(world.most, limit)
        for give_back in world.later:
            give_back()
        self.assertEqual(sum(column.values[SLOT] for column in world.table.cells), world.held)

    def test_far_from_the_limit_nothing_is_locked(self) -> None:
        """No lock is taken while there is more room than there are workers."""
        world = World([], 100)
        with mock.patch.object(world.table, "lock", side_effect=AssertionError("locked")):
            for gauge in world.gauges:
                self.assertTrue(all(gauge.take() for _ in range(32)))
        self.assertEqual(world.gauges[0].value, 96)
        self.assertEqual(world.gauges[0].own, 32)

    def test_a_lock_that_cannot_be_had(self) -> None:
        """Where another one holds the lock for ever, near the limit nothing is taken, and nothing is left counted."""
        world = World([], 2)
        with mock.patch.object(world.table, "lock", return_value=False):
            self.assertFalse(world.gauges[0].take())
        self.assertEqual(world.gauges[0].value, 0)

    def test_more_given_than_taken(self) -> None:
        """It is an error to give back what was not taken, also where others hold some."""
        world = World([], 5)
        world.gauges[0].take()
        self.assertRaises(ValueError, world.gauges[1].give)

    def test_two_objects_on_one_counter(self) -> None:
        """A pool that left and one of the same name that came count together."""
        world = World([], 5)
        old, new = world.gauges[0], SharedGauge(world.table, 0, SLOT, 5, world.later.append)
        old.take()
        new.take()
        self.assertEqual((old.value, new.value, old.own, new.own), (2, 2, 1, 1))
        old.give()
        self.assertEqual(new.value, 1)

    def test_without_a_limit(self) -> None:
        """Everything is let through, and counted."""
        gauge = SharedGauge(World([], 1).table, 0, SLOT, None, list().append)
        self.assertTrue(all(gauge.take() for _ in range(20)))
        self.assertEqual(gauge.value, 20)
        self.assertGreater(gauge.places(), 10**9)


class RealMemoryTests(SynchronousTestCase):
    """The same on a table of shared memory, and what only that has."""

    def setUp(self) -> None:
        self.table = Table.create(2)
        self.addCleanup(self.table.close)
        slots = {"process": 8, "listener/web": 9}
        self.made = [Gauges(self.table, n, slots, b"k" * 16, lambda call: None) for n in range(2)]

    def test_processes_share(self) -> None:
        """What one worker holds counts against the other's limit; a column that is reset holds nothing."""
        first, second = (made.gauge("listener/web", 3) for made in self.made)
        self.assertTrue(first.take() and first.take() and second.take())
        self.assertFalse(second.take())
        self.assertEqual(second.places(), 0)
        self.table.reset(0)
        self.assertTrue(second.take() and second.take())
        self.assertFalse(second.take())

    def test_process_limit_is_each_ones_own(self) -> None:
        """The number of descriptors limits each process; the table only knows the sum."""
        first, second = (made.gauge("process", 2) for made in self.made)
        self.assertTrue(first.take() and first.take() and second.take())
        self.assertFalse(first.take())
        self.assertTrue(second.take())
        self.assertEqual(self.table.total(8), 4)

    def test_another_process_holds_the_lock(self) -> None:
        """A lock that another process does not let go of is waited for a moment only; it goes when that one ends."""
        held, end = os.pipe(), os.pipe()
        pid = os.fork()
        if not pid:
            os._exit(self._hold(held[1], end[0]))
        os.read(held[0], 1)
        self.assertFalse(self.table.lock(9))
        self.assertTrue(self.table.lock(10))
        os.write(end[1], b"x")
        os.waitpid(pid, 0)
        self.assertTrue(self.table.lock(9))
        for descriptor in (*held, *end):
            os.close(descriptor)

    def _hold(self, held: int, end: int) -> int:
        self.table.lock(9)
        os.write(held, b"x")
        os.read(end, 1)
        return 0


class SharedClientCountsTests(SynchronousTestCase):
    """Limits for each client address."""

    def setUp(self) -> None:
        self.table = Table.create(2)
        self.addCleanup(self.table.close)
        self.first, self.second = (SharedClientCounts(self.table, n, b"k" * 16, "web") for n in range(2))
        self.first.limit = self.second.limit = 3

    def test_sum(self) -> None:
        """One address is limited over all workers, another one is not touched by it."""
        self.assertTrue(self.first.take("192.0.2.1") and self.first.take("192.0.2.1") and self.second.take("192.0.2.1"))
        self.assertFalse(self.second.take("192.0.2.1"))
        self.assertEqual(self.second.value("192.0.2.1"), 3)
        self.assertTrue(self.second.take("192.0.2.2"))
        self.first.give("192.0.2.1")
        self.assertTrue(self.second.take("192.0.2.1"))

    def test_everything_given_back(self) -> None:
        """Nothing is left in memory, here or there."""
        hosts = [f"192.0.2.{n}" for n in range(100)]
        for host in hosts:
            self.first.take(host)
        for host in hosts:
            self.first.give(host)
        self.assertEqual(bytes(self.table.raw(0, SLOTS + 2 * ROW)).strip(b"\0"), b"")
        self.assertRaises(ValueError, self.first.give, hosts[0])

    def test_collisions_do_not_refuse(self) -> None:
        """With a thousand addresses at their limits elsewhere, next to none of another thousand is refused wrongly."""
        for n in range(1000):
            for _ in range(3):
                self.first.take(f"2001:db8::{n:x}")
        refused = sum(not self.second.take(f"192.0.2.{n}") for n in range(1000))
        self.assertLess(refused, 20)
