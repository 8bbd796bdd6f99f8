"""Strategies that draw, and first-available: shares, published figures of the fullest bin, order."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from txlb.interfaces import IObservesTime, Outcome
from txlb.strategies.drawing import Urn
from txlb.strategies.ewma import FAILED, TAU, PeakEwma
from txlb.strategies.first_available import FirstAvailable
from txlb.strategies.peak_ewma import LeastPeakEwma
from txlb.strategies.power_of_two import PowerOfTwo
from txlb.strategies.random_draw import WeightedRandom
from txlb.testing import Ground, fake_backends


class TestDraws(SynchronousTestCase):
    """Random and two choices."""

    def test_shares(self) -> None:
        """Each is drawn as often as its weight says, within what chance allows (five sigma)."""
        ground = Ground(WeightedRandom)
        ground.offer(fake_backends(1, 2, 3, 4))
        picks = Counter(ground.pick() for _ in range(20_000))
        for backend, part in zip(ground.offered, (0.1, 0.2, 0.3, 0.4), strict=True):
            self.assertApproximates(picks[backend], 20_000 * part, 5 * math.sqrt(20_000 * part * (1 - part)))

    def test_fullest_bin(self) -> None:
        """10,000 connections on 10,000 backends: one draw's fullest is near ln n / ln ln n, two choices' near ln ln n / ln 2.

        Azar et al., "Balanced Allocations", 1994: in theory 4.1 + O(1) against 3.2 + O(1), in practice 6 to 9 against 3 or 4.
        """
        fullest = {}
        for strategy in (WeightedRandom, PowerOfTwo):
            ground = Ground(strategy)
            backends = fake_backends(*[1] * 10_000)
            ground.offer(backends)
            for _ in range(10_000):
                ground.strategy.pick(None).active += 1
            fullest[strategy] = max(backend.active for backend in backends)
        self.assertLessEqual(fullest[PowerOfTwo], math.ceil(math.log(math.log(10_000)) / math.log(2)))
        self.assertGreaterEqual(fullest[WeightedRandom], 6)

    def test_two_different_draws(self) -> None:
        """Of two backends both are always drawn, so the more loaded one never wins, whatever its weight."""
        ground = Ground(PowerOfTwo)
        ground.offer(fake_backends(1000, 1))
        ground.load(ground.offered[0], 5000)
        for _ in range(200):
            self.assertIs(ground.pick(), ground.offered[1])

    def test_draws_what_is_left(self) -> None:
        """Where all but two of thousands are excluded, those two are drawn by their weights."""
        backends = fake_backends(*[1] * 3000, 1, 3)
        urn, rng, excluded = Urn(backends), Random(1), set(backends[:3000])
        picks = Counter(urn.draw(rng, excluded) for _ in range(800))
        self.assertEqual(set(picks), set(backends[3000:]))
        self.assertApproximates(picks[backends[3001]], 600, 60)

    def test_watches_times_only_if_asked(self) -> None:
        """Comparing connections needs no times."""
        self.assertFalse(IObservesTime.providedBy(Ground(PowerOfTwo).strategy))
        self.assertTrue(IObservesTime.providedBy(Ground(PowerOfTwo, {"load": "peak-ewma"}).strategy))


class TestPeakEwma(SynchronousTestCase):
    """Finagle's average."""

    def test_up_at_once_down_slowly(self) -> None:
        """A sample above the average replaces it; one below moves it by what the elapsed time allows."""
        average = PeakEwma()
        average.observe(0.0, 0.1)
        average.observe(0.0, 0.5)
        self.assertEqual(average.read(0.0), 0.5)
        average.observe(TAU, 0.1)
        self.assertAlmostEqual(average.read(TAU), 0.1 * (1 - math.exp(-1)) + 0.5 * math.exp(-1))

    def test_decays(self) -> None:
        """Without samples it falls to 1/e in ten seconds."""
        average = PeakEwma()
        average.observe(0.0, 1.0)
        self.assertAlmostEqual(average.read(TAU), math.exp(-1))

    def test_order_of_loads_needs_no_clock(self) -> None:
        """What is compared is the logarithm of average * (pending + 1) / weight, but for a part common to all."""
        now, averages = 7.0, []
        for stamp, seconds in ((0.0, 0.3), (5.0, 0.2), (6.5, 0.21)):
            averages.append(PeakEwma())
            averages[-1].observe(stamp, seconds)
        for average in averages:
            for active, weight in ((0, 100), (3, 100), (3, 250)):
                load = average.read(now) * (active + 1) / weight
                self.assertAlmostEqual(average.log_load(active, weight) - now / TAU, math.log(load))

    def test_unknown(self) -> None:
        """Without history an idle backend is before all others, and one with something pending behind them."""
        ground = Ground(LeastPeakEwma)
        ground.offer(fake_backends(1, 1, 1))
        known, pending, idle = ground.offered
        ground.answer(known, 60.0)
        ground.load(known, 500)
        ground.load(pending, 1)
        self.assertEqual([b for b, _, _ in ground.strategy.scores(None)], [idle, known, pending])

    def test_failure_is_slow(self) -> None:
        """A refusal counts as five seconds; what a client breaks off does not."""
        ground = Ground(LeastPeakEwma)
        ground.offer(fake_backends(1, 1))
        for backend in ground.offered:
            ground.answer(backend, 0.1)
        first, second = ground.offered
        ground.strategy.released(first, Outcome.RESET_BY_CLIENT)
        self.assertAlmostEqual(dict(map(lambda s: s[:2], ground.strategy.scores(None)))[first], 0.1)
        ground.strategy.released(first, Outcome.REFUSED)
        self.assertAlmostEqual(dict(map(lambda s: s[:2], ground.strategy.scores(None)))[first], FAILED)
        self.assertIs(ground.pick(), second)


class TestFirstAvailable(SynchronousTestCase):
    """One after the other is filled."""

    def test_in_order(self) -> None:
        """The first by name that is not excluded, whatever weights and loads are."""
        ground = Ground(FirstAvailable)
        ground.offer(fake_backends(1, 1000, 5))
        first, second, third = ground.offered
        ground.load(first, 10_000)
        self.assertIs(ground.pick(), first)
        self.assertIs(ground.pick(exclude={first}), second)
        self.assertIs(ground.pick(exclude=[first, second]), third)
