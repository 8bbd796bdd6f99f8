"""Least time: nginx's mean, halving and score, and what it does about newcomers and failures."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from txlb.interfaces import Outcome
from txlb.strategies.least_time import LeastTime
from txlb.strategies.timing import FAILED, Timing
from txlb.testing import Ground, fake_backends


class TestTiming(SynchronousTestCase):
    """One backend's memory."""

    def test_mean(self) -> None:
        """The first value is the mean, each further one moves it by a twentieth."""
        timing = Timing(0.0)
        self.assertIsNone(timing.time(0.0, 10.0))
        timing.succeeded(0.0, 10.0, 1.0)
        self.assertEqual(timing.time(0.0, 10.0), 1.0)
        timing.succeeded(1.0, 10.0, 2.0)
        self.assertAlmostEqual(timing.time(1.0, 10.0), 0.05 * 2.0 + 0.95 * 1.0)

    def test_halves_once_per_period_unused(self) -> None:
        """Nothing happens within a period; each whole one halves; being used ends it."""
        timing = Timing(0.0)
        timing.succeeded(0.0, 10.0, 8.0)
        expected = ((9.9, 8.0), (10.0, 4.0), (19.9, 4.0), (20.0, 2.0), (30.0, 1.0))
        self.assertEqual([(now, timing.time(now, 10.0)) for now, _ in expected], list(expected))
        timing.picked(30.0, 10.0, False)
        self.assertEqual(timing.time(39.9, 10.0), 1.0)
        self.assertEqual(timing.time(1e9, 10.0), 1.0 / 2.0**60)

    def test_failure_counts_as_slow(self) -> None:
        """For a period, or until something succeeds, a failure counts as 5 s; the mean of successes is kept."""
        timing = Timing(0.0)
        timing.succeeded(0.0, 10.0, 0.01)
        timing.failed(1.0, 10.0)
        self.assertEqual(timing.time(2.0, 10.0), FAILED)
        timing.succeeded(3.0, 10.0, 0.01)
        self.assertAlmostEqual(timing.time(3.0, 10.0), 0.01)
        timing.failed(4.0, 10.0)
        self.assertLess(timing.time(14.0, 10.0), 0.011)

    def test_waiting(self) -> None:
        """What is unanswered counts by the time it has waited, where that is longer than the mean."""
        timing = Timing(0.0)
        timing.succeeded(0.0, 10.0, 0.5)
        timing.picked(1.0, 10.0, True)
        timing.picked(2.0, 10.0, True)
        self.assertAlmostEqual(timing.waiting(3.0), 1.5)
        self.assertEqual(timing.time(1.6, 10.0), 0.5)
        self.assertAlmostEqual(timing.time(4.0, 10.0), 2.5)
        timing.succeeded(4.0, 10.0, 0.5)
        self.assertAlmostEqual(timing.time(4.0, 10.0), 2.0)
        timing.trim(0)
        self.assertAlmostEqual(timing.time(4.0, 10.0), 0.5)


class TestLeastTime(SynchronousTestCase):
    """Who is picked."""

    def ground(self, *weights: int, **options: object) -> Ground:
        """Least time over these weights, compared exactly unless asked otherwise."""
        ground = Ground(LeastTime, {"resolution": 0, **options})
        ground.offer(fake_backends(*weights))
        return ground

    def test_score(self) -> None:
        """time * (1 + connections) / weight, the least first."""
        ground = self.ground(1, 2, 1)
        for backend, seconds, active in zip(ground.offered, (0.1, 0.3, 0.2), (3, 1, 2), strict=True):
            ground.answer(backend, seconds)
            ground.load(backend, active)
        scores = {backend: score for backend, score, _ in ground.strategy.scores(None)}
        for backend, score in zip(ground.offered, (0.4, 0.3, 0.6), strict=True):
            self.assertAlmostEqual(scores[backend], score)
        self.assertIs(ground.pick(), ground.offered[1])

    def test_selectable_measure(self) -> None:
        """Only what was asked for is looked at."""
        for measure in ("connect", "first-byte", "last-byte"):
            ground = self.ground(1, 1, measure=measure)
            for other in {"connect", "first-byte", "last-byte"} - {measure}:
                ground.answer(ground.offered[0], 0.001, other)
                ground.answer(ground.offered[1], 0.9, other)
            ground.answer(ground.offered[0], 0.2, measure)
            ground.answer(ground.offered[1], 0.1, measure)
            self.assertIs(ground.pick(), ground.offered[1])

    def test_fast_ones_get_more(self) -> None:
        """With twenty connections open at a time, one five times as fast serves several times as many."""
        ground = self.ground(1, 1)
        fast, slow = ground.offered
        picks: Counter = Counter()
        open_: list = []
        for number in range(4000):
            backend = ground.open()
            picks[backend] += 1
            open_.append((number + (10 if backend is fast else 50), backend))
            ground.clock.advance(0.001)
            for end, ended in [each for each in open_ if each[0] <= number]:
                open_.remove((end, ended))
                ground.answer(ended, 0.01 if ended is fast else 0.05)
                ground.close(ended)
        self.assertGreater(picks[fast], 3 * picks[slow])
        self.assertGreater(picks[slow], 0)

    def test_identical_servers_share(self) -> None:
        """Two of the same speed, but for noise, share: neither is starved by one unlucky start."""
        ground = Ground(LeastTime)
        ground.offer(fake_backends(1, 1))
        ground.answer(ground.offered[0], 0.5)
        picks: Counter = Counter()
        for number in range(5000):
            backend = ground.open()
            picks[backend] += 1
            ground.clock.advance(0.05)
            ground.answer(backend, 0.0101 + 0.0001 * (number % 7))
            ground.close(backend)
        self.assertGreater(min(picks.values()), 500)

    def test_newcomer_is_tried_not_herded_on(self) -> None:
        """One without a time is tried at once, and while its trial runs it counts as an average one."""
        ground = self.ground(1, 1)
        for backend in ground.offered:
            ground.answer(backend, 0.01)
        newcomer = fake_backends(1, 1, 1)[2]
        ground.offer((*ground.offered, newcomer))
        first = ground.open()
        self.assertIs(first, newcomer)
        picks = Counter(ground.open() for _ in range(30))
        self.assertLess(picks[newcomer], 15)

    def test_newcomer_that_refuses(self) -> None:
        """It has one trial in a period, no more."""
        ground = self.ground(1, 1)
        dead, alive = ground.offered
        ground.answer(alive, 0.01)
        picks: Counter = Counter()
        for _ in range(1000):
            backend = ground.open()
            picks[backend] += 1
            ground.clock.advance(0.05)
            if backend is dead:
                ground.close(backend, Outcome.REFUSED)
            else:
                ground.answer(backend, 0.01)
                ground.close(backend)
        self.assertLess(picks[dead], 10)

    def test_hung_backend_with_inflight(self) -> None:
        """A backend that stops answering is left, while its old connections are open, well before any of them ends."""
        ground = self.ground(1, 1, inflight=True)
        hangs, works = ground.offered
        for _ in range(5):
            for backend in ground.offered:
                ground.answer(backend, 0.01)
        picks: Counter = Counter()
        for _ in range(500):
            backend = ground.open()
            picks[backend] += 1
            ground.clock.advance(0.02)
            if backend is works:
                ground.answer(backend, 0.01)
                ground.close(backend)
        self.assertLess(picks[hangs], 10)

    def test_the_halving_reorders_an_idle_heap(self) -> None:
        """A slow backend that nobody used becomes the pick by the mere passing of time."""
        ground = self.ground(1, 1, period="1s")
        slow, fast = ground.offered
        ground.answer(slow, 1.0)
        ground.answer(fast, 0.1)
        order = []
        for _ in range(60):
            order.append(ground.pick() is slow)
            ground.clock.advance(0.1)
        self.assertFalse(any(order[:30]))
        self.assertTrue(any(order[30:]))
