"""What txlb expects of every strategy, as test cases to mix into a `twisted.trial.unittest.TestCase`.

Everything is seeded and on a virtual clock, so a failure repeats. The figures allow what chance may do in a fair draw.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from zope.interface import providedBy
from zope.interface.verify import verifyObject

from txlb.interfaces import IExplains, IObservesLoad, IObservesTime, IStrategy, Outcome
from txlb.testing.fakes import FakeBackend, fake_backends, fake_clients
from txlb.testing.ground import Ground

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as _TestCase
else:
    _TestCase = object

MANY = 10_000


class _Only:
    """A container of which nothing is known but what is in it."""

    def __init__(self, *members: Any) -> None:
        self._members = members

    def __contains__(self, item: object) -> bool:
        return item in self._members


class StrategyConformance(_TestCase):
    """Set `strategy` to the class, and what differs from these promises."""

    strategy: type
    options: Mapping[str, Any] = {}
    respects_weights = True
    """Open connections are in proportion to weights."""
    spreads = True
    """Equal backends share the work, and none is left out."""
    says_its_pick = True
    """The first of `scores` is the next pick; not so where chance decides."""
    slowest_pick = 0.0005
    """CPU seconds for one pick among 10,000 backends."""

    def ground(self, *weights: int, seed: int = 1) -> Ground:
        """The strategy, and backends of these configured weights offered to it."""
        ground = Ground(self.strategy, self.options, seed)
        if weights:
            ground.offer(fake_backends(*weights))
        return ground

    def test_interfaces(self) -> None:
        """It provides IStrategy, and really has what each further interface it claims asks for."""
        strategy = self.ground().strategy
        self.assertTrue(IStrategy.providedBy(strategy))
        for interface in providedBy(strategy):
            verifyObject(interface, strategy)

    def test_nothing_offered(self) -> None:
        """Without backends there is no pick: before the first offer, and after all have gone."""
        ground = self.ground()
        self.assertIsNone(ground.pick())
        ground.offer(())
        self.assertIsNone(ground.pick())
        ground.offer(fake_backends(1, 1))
        self.assertIsNotNone(ground.pick())
        ground.offer(())
        self.assertIsNone(ground.pick())

    def test_pool_of_one(self) -> None:
        """A lone backend gets everything, and nothing when it is excluded."""
        ground = self.ground(3)
        for client in fake_clients(20):
            self.assertIs(ground.open(client), ground.offered[0])
        self.assertIsNone(ground.pick(exclude=ground.offered))

    def test_excluded(self) -> None:
        """Whatever container `exclude` is, and whatever is in it, the pick is not in it, and there is one if it can be."""
        ground = self.ground(1, 2, 3, 1, 2, 3, 10)
        rng = random.Random(2)
        for client in fake_clients(300):
            some = rng.sample(ground.offered, rng.randrange(8))
            for kind in (tuple, list, set, frozenset, lambda some: _Only(*some)):
                self.assertEqual(ground.pick(client, kind(some)) is None, len(some) == 7)

    def test_nearly_all_excluded(self) -> None:
        """The only one left of a thousand is found, whichever it is."""
        ground = self.ground(*(1 + number % 3 for number in range(1000)))
        for left in ground.offered[::97]:
            others = set(ground.offered) - {left}
            for client in fake_clients(3):
                self.assertIs(ground.pick(client, others), left)

    def test_changing_set(self) -> None:
        """Backends come, go, change weight and come back while connections are open: every pick is from the offer."""
        ground = self.ground()
        everybody = fake_backends(*range(1, 21))
        rng = random.Random(3)
        still_open: list[Any] = []
        for client in fake_clients(600):
            if rng.random() < 0.1:
                ground.offer(tuple(rng.sample(everybody, rng.randrange(21))))
            if rng.random() < 0.05 and ground.offered:
                rng.choice(ground.offered).weight = rng.choice((10, 55, 100, 700))
                ground.offer(ground.offered)
            ground.clock.advance(rng.random())
            backend = ground.open(client)
            self.assertEqual(backend is None, not ground.offered)
            if backend is not None:
                ground.answer(backend, rng.random())
                still_open.append(backend)
            while still_open and rng.random() < 0.5:
                gone = still_open.pop(rng.randrange(len(still_open)))
                ground.close(gone, rng.choice(list(Outcome)), rng.random())

    def test_steps(self) -> None:
        """Between the steps of a rebuild it goes on picking, from the old offer or from the new one."""
        ground = self.ground(*[1] * 200)
        before, added = ground.offered, FakeBackend("zzz")
        steps = ground.strategy.rebuild((*before[1:], added))
        for _ in steps or ():
            self.assertIn(ground.strategy.pick(fake_clients(1)[0]), {*before, added})
        ground.offered = (*before[1:], added)
        self.assertIsNotNone(ground.pick())
        for _ in ground.strategy.rebuild(()) or ():
            self.assertIn(ground.strategy.pick(fake_clients(1)[0]), {*ground.offered, None})
        self.assertIsNone(ground.strategy.pick(fake_clients(1)[0]))

    def test_weights(self) -> None:
        """Of 3,000 connections that stay open each backend has its weight's part, slow start's small weights included."""
        if not self.respects_weights:
            raise SkipTest("does not promise to respect weights")
        ground = self.ground(5, 1, 1, 3)
        slow = FakeBackend("slow-start", 50)
        ground.offer((*ground.offered, slow))
        for client in fake_clients(3000):
            ground.answer(ground.open(client), 0.01)
        total = sum(backend.weight for backend in ground.offered)
        for backend in ground.offered:
            fair = 3000 * backend.weight / total
            self.assertTrue(0.7 * fair < backend.active < 1.4 * fair, f"{backend} should have about {fair:.0f}")

    def test_nobody_left_out(self) -> None:
        """Idle equals take part alike: none is left out, and none is always the one."""
        if not self.spreads:
            raise SkipTest("does not promise to spread")
        ground = self.ground(*[1] * 10)
        picks: Counter[str] = Counter()
        for client in fake_clients(2000):
            backend = ground.open(client)
            picks[backend.name] += 1
            ground.clock.advance(0.01)
            ground.answer(backend, 0.01)
            ground.close(backend, seconds=0.01)
        self.assertEqual(len(picks), 10)
        self.assertGreater(min(picks.values()), 80, picks)
        self.assertLess(max(picks.values()), 400, picks)

    def test_counts(self) -> None:
        """Loads that it was told of one by one are those it finds when it is rebuilt: in leaps, downward, of strangers."""
        ground = self.ground(1, 2, 3, 4)
        strategy = ground.strategy
        if not IObservesLoad.providedBy(strategy):
            raise SkipTest("does not observe loads")
        rng = random.Random(4)
        strategy.changed(FakeBackend("stranger", active=7))
        for _ in range(500):
            ground.load(rng.choice(ground.offered), rng.randrange(50))
        if IExplains.providedBy(strategy):
            told = {backend: score for backend, score, _ in strategy.scores(fake_clients(1)[0])}
            ground.offer(ground.offered)
            self.assertEqual({backend: score for backend, score, _ in strategy.scores(fake_clients(1)[0])}, told)

    def test_deterministic(self) -> None:
        """The same clock, random source and history give the same picks."""

        def story() -> list[str]:
            ground = self.ground(1, 2, 3, 1, 1, seed=5)
            picks = []
            for number, client in enumerate(fake_clients(300)):
                backend = ground.open(client, exclude={ground.offered[number % 5]})
                picks.append(backend.name)
                ground.clock.advance(0.3)
                ground.answer(backend, 0.01 * (number % 7))
                if number % 3:
                    ground.close(backend, seconds=0.3)
            return picks

        once, again = story(), story()
        differing = next((number for number, (a, b) in enumerate(zip(once, again, strict=True)) if a != b), None)
        self.assertIsNone(differing, f"pick {differing} differs")

    def test_explains(self) -> None:
        """`scores` names every backend once, the next pick first, says why, and changes nothing."""
        ground, untouched = self.ground(3, 1, 2), self.ground(3, 1, 2)
        if not IExplains.providedBy(ground.strategy):
            raise SkipTest("does not explain itself")
        for client in fake_clients(100):
            scores = ground.strategy.scores(client)
            self.assertEqual(sorted(backend.name for backend, _, _ in scores), [b.name for b in ground.offered])
            self.assertTrue(all(isinstance(score, float) and why for _, score, why in scores))
            backend, same = ground.open(client), untouched.open(client)
            self.assertEqual(backend.name, same.name)
            if self.says_its_pick:
                self.assertIs(scores[0][0], backend)
            for each, one in ((ground, backend), (untouched, same)):
                each.answer(one, 0.02)

    def test_failing_is_not_fast(self) -> None:
        """A backend that refuses at once, and so never has connections, does not draw them."""
        ground = self.ground(1, 1, 1)
        if not IObservesTime.providedBy(ground.strategy):
            raise SkipTest("does not observe times")
        refuses, refused = ground.offered[1], 0
        for client in fake_clients(600):
            backend = ground.open(client)
            ground.clock.advance(0.02)
            if backend is refuses:
                refused += 1
                ground.close(backend, Outcome.REFUSED)
            else:
                ground.answer(backend, 0.02)
                ground.close(backend, seconds=0.02)
        self.assertLess(refused, 100)

    def test_slow_is_tried_again(self) -> None:
        """A backend that was slow once gets another chance within ten minutes."""
        ground = self.ground(1, 1)
        if not IObservesTime.providedBy(ground.strategy):
            raise SkipTest("does not observe times")
        slow = ground.offered[0]
        ground.answer(slow, 3.0)
        ground.answer(slow, 3.0, "last-byte")
        tried = 0
        for client in fake_clients(6000):
            backend = ground.open(client)
            tried += backend is slow
            ground.clock.advance(0.1)
            ground.answer(backend, 0.05)
            ground.close(backend, seconds=0.05)
        self.assertGreater(tried, 0)

    def test_scales(self) -> None:
        """Among 10,000 backends a pick stays quick, and so do the steps of a rebuild, or the whole where it has none."""
        ground = self.ground()
        everybody = fake_backends(*(1 + number % 4 for number in range(MANY)))
        ground.offer(everybody)
        started = time.process_time()
        steps = ground.strategy.rebuild(everybody[1:])
        self.assertLess(time.process_time() - started, 0.2)
        times = [time.process_time()]
        times += [time.process_time() for _ in steps or ()]
        slow = [after - before for before, after in pairwise(times) if after - before > 0.005]
        self.assertLessEqual(len(slow), max(2, len(times) // 20), slow)
        clients = fake_clients(100)
        started = time.process_time()
        for client in clients:
            ground.strategy.pick(client)
        self.assertLess((time.process_time() - started) / 100, self.slowest_pick)
