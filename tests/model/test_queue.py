"""Waiting for a backend: in order, for a limited time, and never from within somebody else's call."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import spec, specs, world
from txlb.specs import BackendSpec, QueueSpec, RetryBudgetSpec

QUEUE = QueueSpec(size=3, timeout=5.0)


class QueueTests(SynchronousTestCase):
    """A pool of one backend that takes one connection, and clients that wait for it."""

    def setUp(self):
        """The one connection is taken."""
        self.w = world(*specs("a", max_connections=1), queue=QUEUE)
        self.lease = self.w.pool.acquire(None)
        self.served: list[tuple[str, bool]] = []
        self.leases = []

    def wait(self, who):
        """Queue up and write down how it went."""

        def served(lease):
            self.served.append((who, lease is not None))
            if lease is not None:
                self.leases.append(lease)

        return self.w.pool.wait(who, served)

    def test_no_queue(self):
        """Without a queue nobody waits."""
        self.assertIsNone(world("a").pool.wait(None, self.served.append))

    def test_first_come_first_served(self):
        """Each release serves the one that waited longest, in a turn of its own."""
        for who in "xyz":
            self.wait(who)
        self.lease.release("ok")
        self.assertEqual(self.served, [])
        self.w.turn()
        self.assertEqual(self.served, [("x", True)])
        self.leases[0].release("ok")
        self.w.turn()
        self.assertEqual(self.served, [("x", True), ("y", True)])

    def test_full(self):
        """The fourth one is turned away at once."""
        tickets = [self.wait(who) for who in "wxyz"]
        self.assertEqual([ticket is None for ticket in tickets], [False, False, False, True])
        self.assertEqual(self.w.pool.snapshot()["queued"], 3)

    def test_timeout(self):
        """After its time it hears None, once, and leaves no timer."""
        self.wait("x")
        self.w.clock.advance(5.0)
        self.assertEqual(self.served, [("x", False)])
        self.lease.release("ok")
        self.w.turn()
        self.assertEqual((self.served, self.w.clock.getDelayedCalls()), ([("x", False)], []))

    def test_cancel(self):
        """Who leaves the queue is not called, and the next one is served; twice does no harm."""
        first = self.wait("x")
        self.wait("y")
        first.cancel()
        first.cancel()
        self.lease.release("ok")
        self.w.turn()
        self.assertEqual(self.served, [("y", True)])

    def test_nobody_overtakes(self):
        """A newcomer does not get what was given back for one that waits."""
        self.wait("x")
        self.lease.release("ok")
        self.assertIsNone(self.w.pool.acquire("newcomer"))
        self.assertEqual(self.w.pool.refusal, "queue")
        self.w.turn()
        self.assertEqual(self.served, [("x", True)])

    def test_served_by_a_new_backend(self):
        """One more backend, or a higher maximum, serves those who wait."""
        self.wait("x")
        self.wait("y")
        self.w.pool.add(BackendSpec("b", "tcp:b:1", max_connections=1), "test")
        self.w.turn()
        self.assertEqual(self.served, [("x", True)])
        self.w.pool.reconcile(spec(*specs("a", max_connections=2), queue=QUEUE))
        self.w.turn()
        self.assertEqual(self.served, [("x", True), ("y", True)])

    def test_served_when_another_worker_releases(self):
        """What another worker gives back serves those who wait here."""
        self.lease.release("ok")
        self.w.pool.set_remote("a", 1)
        self.wait("x")
        self.w.turn()
        self.assertEqual(self.served, [])
        self.w.pool.set_remote("a", 0)
        self.w.turn()
        self.assertEqual(self.served, [("x", True)])

    def test_callback_that_raises(self):
        """Its lease is given back, and the next one is served."""

        def fail(lease):
            raise RuntimeError("no socket")

        self.w.pool.wait("x", fail)
        self.wait("y")
        self.lease.release("ok")
        self.w.turn()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual((self.served, self.w.backend("a").active), ([("y", True)], 1))

    def test_callback_that_releases_at_once(self):
        """A callback may release and wait again within the same round."""

        def again(lease):
            self.served.append(("x", lease is not None))
            lease.release("ok")
            self.wait("z")

        self.w.pool.wait("x", again)
        self.wait("y")
        self.lease.release("ok")
        self.w.turn()
        self.assertEqual(self.served, [("x", True), ("y", True)])
        self.assertEqual(self.w.pool.queued, 1)

    def test_stop(self):
        """At the end everybody hears None, nobody can wait any more, and no timer is left."""
        self.wait("x")
        self.w.pool.stop()
        self.assertEqual((self.served, self.wait("y"), self.w.clock.getDelayedCalls()), ([("x", False)], None, []))
        self.lease.release("ok")
        self.assertEqual(self.w.pool.open, 0)


class WaitingRetries(SynchronousTestCase):
    """Clients that tried a backend in vain and wait for the others, beside clients that have tried nothing."""

    def setUp(self):
        """Of `a` and `b` each takes one connection, and both have it."""
        self.w = world(*specs("a", "b", max_connections=1), strategy="first-available", queue=QUEUE)
        self.a, self.b = self.w.take(2)
        self.served: list[tuple[str, str]] = []
        self.leases = []

    def wait(self, who, *tried):
        """Queue up and write down which backend it got."""

        def served(lease):
            self.served.append((who, lease.backend.name if lease is not None else ""))
            self.leases.append(lease)

        return self.w.pool.wait(who, served, frozenset(map(self.w.backend, tried)))

    def test_waits_for_the_others_only(self):
        """What it has tried is not given to it, but to the next one in the queue."""
        self.wait("x", "a")
        self.wait("y")
        self.a.release("ok")
        self.w.turn()
        self.assertEqual(self.served, [("y", "a")])
        self.b.release("ok")
        self.w.turn()
        self.assertEqual(self.served, [("y", "a"), ("x", "b")])
        self.assertEqual((self.w.pool.queued, self.w.pool.retried), (0, 1))

    def test_first_come_first_served(self):
        """A retry that came first is served before those who came later, if it is for one of the others."""
        self.wait("x", "a")
        self.wait("y")
        self.b.release("ok")
        self.w.turn()
        self.assertEqual(self.served, [("x", "b")])

    def test_newcomers(self):
        """Who finds a place that nobody in the queue wants takes it, even if the queue is full; other places are not
        taken from those who wait."""
        for who in "xyz":
            self.wait(who, "a")
        self.b.release("ok")
        self.assertIsNone(self.w.pool.acquire("newcomer"))
        self.assertEqual(self.w.pool.refusal, "queue")
        self.a.release("ok")
        self.assertEqual(self.w.pool.acquire("newcomer").backend.name, "a")
        self.w.turn()
        self.assertEqual(self.served, [("x", "b")])

    def test_nothing_left_to_wait_for(self):
        """Who has tried all is turned away at once, also if there are backups and it has tried these too."""
        self.assertIsNone(self.wait("x", "a", "b"))
        self.w.pool.add(BackendSpec("c", "tcp:c:1", backup=True, max_connections=0), "test")
        self.w.turn()
        self.assertIsNotNone(self.wait("x", "a", "b"))
        self.assertIsNone(self.wait("y", "a", "b", "c"))
        self.w.pool.set_admin("b", "maint", "test")
        self.w.pool.set_admin("c", "maint", "test")
        self.w.turn()
        self.assertIsNone(self.wait("z", "a"))

    def test_timeout(self):
        """The queue's own timeout counts."""
        self.wait("x", "a")
        self.w.clock.advance(5.0)
        self.assertEqual(self.served, [("x", "")])

    def test_budget(self):
        """Serving a retry takes from the budget: one that is spent lets it wait on, until a retry is through. With a spent
        budget no other retry may wait."""
        self.w.pool.reconcile(
            spec(
                *specs("a", "b", "c"),
                strategy="first-available",
                queue=QUEUE,
                max_connections=3,
                retry_budget=RetryBudgetSpec(percent=0, least=1),
            )
        )
        self.w.turn()
        blocker = self.w.pool.acquire(None)
        self.wait("x", "a")
        blocker.release("ok")
        retry = self.w.pool.acquire("r", frozenset([self.w.backend("a")]))
        self.w.turn()
        self.assertEqual(self.served, [])
        self.assertIsNone(self.wait("y", "a"))
        self.a.release("ok")
        self.w.turn()
        self.assertEqual(self.served, [])
        retry.connected(0.01)
        self.w.turn()
        self.assertEqual(self.served, [("x", "b")])
