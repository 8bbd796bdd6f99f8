"""The kit says whether it is sound; the other tests say whether it does what it is for."""

from twisted.trial.unittest import SynchronousTestCase
from txlb_sticky_example import StickyPair

from txlb.testing import FakeClient, Ground, StickyConformance, fake_backends


class TestConformance(StickyConformance, SynchronousTestCase):
    """All that txlb expects of a strategy that keeps clients on their backends."""

    strategy = StickyPair
    slowest_pick = 0.1  # it looks at every backend: not for pools of thousands


class TestStickyPair(SynchronousTestCase):
    """What it is for."""

    def test_two_backends_for_one_client(self):
        """However many connections a client opens, two backends share them evenly."""
        ground = Ground(StickyPair)
        ground.offer(fake_backends(*[1] * 10))
        for _ in range(100):
            ground.open(FakeClient("192.0.2.1"))
        self.assertEqual(sorted(backend.active for backend in ground.offered), [0] * 8 + [50] * 2)

    def test_salt(self):
        """Another salt gives other pairs."""
        pairs = set()
        for salt in ("", "a", "b", "c"):
            ground = Ground(StickyPair, {"salt": salt})
            ground.offer(fake_backends(*[1] * 50))
            pairs.add(frozenset({ground.open().name, ground.open().name}))
        self.assertGreater(len(pairs), 1)
