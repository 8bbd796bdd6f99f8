"""Tests for `txlb.simulate.server`: the queue that a backend is."""

from twisted.trial.unittest import SynchronousTestCase

from txlb.simulate.server import Server
from txlb.simulate.service import constant


class ServerTests(SynchronousTestCase):
    """So many places, first come first served."""

    def test_waits_for_a_place(self) -> None:
        """With two places the third waits for the first to end, and an idle server serves at once again."""
        server = Server("a", 1, constant(1.0), 2, False)
        self.assertEqual([server.admit(0.0, 0.5, n) for n in (1, 2, 3, 4)], [1.0, 1.0, 2.0, 2.0])
        self.assertEqual(server.admit(10.0, 0.5, 5), 11.0)
        self.assertEqual(list(server.responses), [1.0, 1.0, 2.0, 2.0, 1.0])

    def test_no_limit(self) -> None:
        """Without places to count nobody waits."""
        server = Server("a", 1, constant(1.0), 0, False)
        self.assertEqual([server.admit(0.0, 0.5, n) for n in (1, 2, 3)], [1.0, 1.0, 1.0])
        self.assertEqual(server.peak, 3)

    def test_recorded(self) -> None:
        """Recorded work is the time itself."""
        self.assertEqual(Server("a", 1, constant(1.0), 0, True).admit(1.0, 7.0, 1), 8.0)

    def test_gap(self) -> None:
        """The longest row of arrivals that went elsewhere, also the one at the end; none while it was away."""
        server = Server("a", 1, constant(1.0), 0, False)
        server.offer(0.0, 0, True)
        for arrival in (1, 3, 10):
            server.admit(0.0, 0.5, arrival)
        self.assertEqual(server.gap, 7)
        server.offer(1.0, 30, False)
        self.assertEqual(server.gap, 20)
        server.offer(2.0, 900, True)
        server.admit(2.0, 0.5, 901)
        server.offer(3.0, 901, False)
        self.assertEqual((server.gap, server.offered_for), (20, 2.0))
