"""Round robin against nginx's own way of doing it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txlb.strategies.round_robin import RoundRobin
from txlb.strategies.schedule import MANY_WEIGHTS, Deadlines, schedule
from txlb.testing import Ground, fake_backends

SLOW_STARTS = [10, 25, 50, 100, 200, 500, 100_000]


def nginx(weights: list[int], picks: int) -> list[int]:
    """The reference: O(n) a pick, as in `ngx_http_upstream_get_peer`."""
    current, total, chosen = [0] * len(weights), sum(weights), []
    for _ in range(picks):
        best = -1
        for index, weight in enumerate(weights):
            current[index] += weight
            if best < 0 or current[index] > current[best]:
                best = index
        current[best] -= total
        chosen.append(best)
    return chosen


def sequence(weights: list[int], picks: int) -> list[int]:
    """What ours picks."""
    ground = Ground(RoundRobin)
    ground.offer(fake_backends(*weights))
    return [ground.offered.index(ground.pick()) for _ in range(picks)]


class TestSequence(SynchronousTestCase):
    """Who comes when."""

    def test_nginx_example(self) -> None:
        """5, 1, 1 gives a a b a c a a, again and again: the example of the commit that brought it to nginx."""
        self.assertEqual(sequence([5, 1, 1], 14), [0, 0, 1, 0, 2, 0, 0] * 2)

    def test_published_and_hand_made(self) -> None:
        """Equal weights in order; 4, 2, 1 and others as the reference has them."""
        self.assertEqual(sequence([1, 1, 1], 6), [0, 1, 2, 0, 1, 2])
        for weights in ([4, 2, 1], [3, 3, 1, 1], [1, 10], [7, 5, 3, 2, 2, 1]):
            self.assertEqual(sequence(weights, 100), nginx(weights, 100))

    @given(st.lists(st.integers(1, 12), min_size=1, max_size=30))
    def test_nginx(self, weights: list[int]) -> None:
        """Any weights: pick by pick the reference's sequence."""
        self.assertEqual(sequence(weights, 200), nginx(weights, 200))

    @given(st.lists(st.integers(1, 1000), min_size=1, max_size=12))
    def test_exact_shares(self, weights: list[int]) -> None:
        """In as many picks as the weights add up to, each has its weight, exactly."""
        picks = Counter(sequence(weights, sum(weights)))
        self.assertEqual([picks[index] for index in range(len(weights))], weights)

    def test_exact_shares_with_many_weights(self) -> None:
        """So too where there are more distinct weights than the smooth way is used for; and it is even all along."""
        weights = list(range(1, 2 * MANY_WEIGHTS))
        total = sum(weights)
        self.assertIsInstance(schedule(fake_backends(*weights), {}), Deadlines)
        chosen = sequence(weights, total)
        picks = Counter(chosen)
        self.assertEqual([picks[index] for index in range(len(weights))], weights)
        half = Counter(chosen[: total // 2])
        for index, weight in enumerate(weights):
            self.assertLessEqual(abs(half[index] - weight / 2), 1.5)


class TestExclusion(SynchronousTestCase):
    """What becomes of turns when some cannot be picked."""

    def ground(self, *weights: int) -> Ground:
        """Round robin over these weights."""
        ground = Ground(RoundRobin)
        ground.offer(fake_backends(*weights))
        return ground

    @given(st.lists(st.integers(1, 5), min_size=3, max_size=8), st.integers(0, 2))
    def test_the_rest_as_if_alone(self, weights: list[int], out: int) -> None:
        """While one is excluded, the others have exact shares among themselves, as nginx's tried and full peers."""
        ground = self.ground(*weights)
        excluded = {ground.offered[out]}
        rest = sum(weights) - weights[out]
        picks = Counter(ground.pick(exclude=excluded) for _ in range(rest * 20))
        for backend in ground.offered:
            if backend not in excluded:
                self.assertApproximates(picks[backend], 20 * backend.weight // 100, 2)

    def test_no_burst_afterwards(self) -> None:
        """One that was full for a thousand picks comes back to its share, not to all it missed."""
        ground = self.ground(1, 1, 1, 1)
        full = ground.offered[2]
        for _ in range(1000):
            ground.pick(exclude={full})
        picks = Counter(ground.pick() for _ in range(40))
        self.assertIn(picks[full], (10, 11))

    def test_heavy_one_excluded(self) -> None:
        """A thousandfold weight that is excluded costs no thousand looks, and the others go on in turn."""
        ground = self.ground(1000, 1, 1)
        heavy, *others = ground.offered
        picks = [ground.pick(exclude={heavy}) for _ in range(10)]
        self.assertEqual(Counter(picks), dict.fromkeys(others, 5))

    def test_thousands_full(self) -> None:
        """With 9,900 of 10,000 full, the hundred that are left share evenly."""
        ground = self.ground(*[1] * 10_000)
        left = ground.offered[::100]
        full = set(ground.offered) - set(left)
        strategy = ground.strategy
        picks = Counter(strategy.pick(None, full) for _ in range(1000))
        self.assertEqual(set(picks), set(left))
        self.assertEqual(set(picks.values()), {10})


class TestRebuild(SynchronousTestCase):
    """Turns survive changes."""

    def test_rotation_goes_on(self) -> None:
        """A pool that is rebuilt at every pick is served in turn all the same."""
        ground = Ground(RoundRobin)
        backends = fake_backends(1, 1, 1)
        picks = []
        for _ in range(9):
            ground.offer(backends)
            picks.append(ground.offered.index(ground.pick()))
        self.assertEqual(picks, [0, 1, 2] * 3)

    @given(
        st.lists(st.sampled_from(SLOW_STARTS), min_size=2, max_size=6),
        st.lists(st.sampled_from(SLOW_STARTS), min_size=6),
    )
    def test_new_weights_at_once(self, weights: list[int], later: list[int]) -> None:
        """After weights change, shares follow the new ones within a round or so."""
        ground = Ground(RoundRobin)
        backends = fake_backends(*[1] * len(weights))
        for backend, weight in zip(backends, weights, strict=True):
            backend.weight = weight
        ground.offer(backends)
        for _ in range(17):
            ground.pick()
        for backend, weight in zip(backends, later, strict=False):
            backend.weight = weight
        ground.offer(backends)
        picks = Counter(ground.pick() for _ in range(2000))
        total = sum(backend.weight for backend in backends)
        for backend in backends:
            self.assertApproximates(picks[backend], 2000 * backend.weight / total, 4 + len(backends))
