"""Waiting for a backend: in order, for a limited time, and never from within somebody else's call."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import spec, specs, world
from txlb.specs import BackendSpec, QueueSpec

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
