"""Tests for `txlb.simulate.service`."""

import random

from twisted.trial.unittest import SynchronousTestCase

from txlb.errors import OptionError
from txlb.simulate.service import constant, exponential, lognormal, parse_services


class QuantileTests(SynchronousTestCase):
    """The models have the means that they promise."""

    def test_means(self) -> None:
        """Over many draws the mean is the one asked for."""
        rng = random.Random(1)
        for service in (constant(0.02), exponential(0.02), lognormal(0.02, 0.5), lognormal(0.02, 1.0)):
            mean = sum(service.quantile(rng.random()) for _ in range(50_000)) / 50_000
            self.assertApproximates(mean, 0.02, 0.001)

    def test_extremes(self) -> None:
        """A draw of 0 is a time of 0 or more."""
        for service in (constant(1.0), exponential(1.0), lognormal(1.0)):
            self.assertGreaterEqual(service.quantile(0.0), 0.0)


class ParseServicesTests(SynchronousTestCase):
    """`[NAME=]MODEL`."""

    def test_for_all_and_for_some(self) -> None:
        """A model without a name is the one for all, whatever the order; modifiers add up on one name."""
        base, named = parse_services(["b=slow:5", "constant:10ms", "b=failing:0.3", "tcp:host=x:port=1=lognormal:1s:2"])
        self.assertEqual(base.quantile(0.3), 0.01)
        self.assertEqual((named["b"].mean, named["b"].slow, named["b"].failing), (0.01, 5.0, 0.3))
        self.assertEqual(named["tcp:host=x:port=1"].mean, 1.0)

    def test_default(self) -> None:
        """Exponential of 20 ms where nothing is said."""
        base, named = parse_services([])
        self.assertEqual((base.mean, named), (0.02, {}))

    def test_refused(self) -> None:
        """Each mistake is told with the option's name and the text in question."""
        for wrong in (
            "uniform:1s",
            "constant",
            "constant:0s",
            "constant:fast",
            "constant:1s:2",
            "lognormal:1s:99",
            "slow:0",
            "slow:nan",
            "failing:1.5",
            "b=failing:x",
            "",
        ):
            error = self.assertRaises(OptionError, parse_services, [wrong])
            self.assertEqual(error.option, "--service", wrong)
