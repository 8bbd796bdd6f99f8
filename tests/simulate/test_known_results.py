"""The simulator shows what theory and others' measurements say it must."""

from __future__ import annotations

import math

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from tests.simulate.plans import plan, result
from txlb.simulate.service import DEFAULT, constant, lognormal


class QueueingTheoryTests(SynchronousTestCase):
    """Where a formula is known."""

    def test_single_queue(self) -> None:
        """M/M/1: the mean response time is service / (1 - load)."""
        for load in (0.5, 0.7):
            found = result(plan(1, 60_000, load=load, concurrency=1), "round-robin")
            self.assertApproximates(found.response.mean / (0.02 / (1 - load)), 1.0, 0.08)

    def test_many_places(self) -> None:
        """M/M/c: the mean time in the queue is Erlang's C formula."""
        places, load = 4, 0.8
        offered = places * load
        blocked = offered**places / math.factorial(places) / (1 - load)
        wait = blocked / (sum(offered**k / math.factorial(k) for k in range(places)) + blocked)
        expected = 0.02 + wait * 0.02 / (places * (1 - load))
        found = result(plan(1, 100_000, load=load, concurrency=places), "round-robin")
        self.assertApproximates(found.response.mean / expected, 1.0, 0.05)

    def test_littles_law(self) -> None:
        """Connections at once are arrivals a second times seconds each."""
        found = result(plan(4, 20_000), "random")
        at_once = sum(backend.concurrency_mean for backend in found.backends)
        self.assertApproximates(at_once, found.served / found.duration * found.response.mean, at_once * 0.001)


class StrategyTests(SynchronousTestCase):
    """Where the difference between strategies is known."""

    def test_two_choices(self) -> None:
        """A thousand balls into a thousand bins: the fullest has about ln n / ln ln n at random (here 5 or more), and about
        ln ln n / ln 2 with two choices (3 or less). Azar, Broder, Karlin and Upfal, "Balanced allocations", 1994."""
        for seed in ("1", "2", "3"):
            made = plan(1000, 1000, rate=1000.0, service=constant(1e6), concurrency=0, seed=seed)
            self.assertGreaterEqual(result(made, "random").concurrency_max, 5)
            self.assertLessEqual(result(made, "power-of-two").concurrency_max, 4)

    def test_least_connections_with_mixed_times(self) -> None:
        """With service times of a heavy tail, rotation lets short ones wait behind long ones; counting avoids it."""
        made = plan(10, 20_000, load=0.7, service=lognormal(0.02, 1.5), concurrency=1)
        turned, counted = result(made, "round-robin"), result(made, "least-connections")
        self.assertLess(counted.response.mean * 3, turned.response.mean)
        self.assertLess(counted.concurrency_max * 3, turned.concurrency_max)
        self.assertEqual(turned.unfairness, 0.0)

    def test_slow_backends(self) -> None:
        """Two of ten backends take three times as long: rotation drowns them, measuring steers round them."""
        slow = {f"b{number:03}": evolve(DEFAULT, slow=3.0) for number in range(2)}
        made = plan(10, 20_000, load=0.7, services=slow, concurrency=1)
        turned, timed = result(made, "round-robin"), result(made, "least-time")
        self.assertGreater(turned.response.p99, 10.0)
        self.assertLess(timed.response.p99, 0.5)

    def test_herding(self) -> None:
        """Many balancers that each follow their own measurements pick the same favourite at once: least-time has far more
        connections at its busiest backend than alone, while two random choices hardly suffer."""
        alone, herd = (result(plan(10, 30_000, load=0.7, balancers=n), "least-time") for n in (1, 64))
        self.assertGreater(herd.concurrency_max, 2 * alone.concurrency_max)
        self.assertGreater(herd.response.mean, 1.15 * alone.response.mean)
        choices = result(plan(10, 30_000, load=0.7, balancers=64), "power-of-two")
        self.assertLess(choices.concurrency_max * 1.3, herd.concurrency_max)

    def test_random_needs_no_coordination(self) -> None:
        """Random draws are the same however many balancers draw."""
        one, many = (result(plan(10, 30_000, load=0.7, balancers=n), "random").response.mean for n in (1, 64))
        self.assertApproximates(many / one, 1.0, 0.08)
