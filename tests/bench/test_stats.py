"""Medians, spreads and ratios, on numbers small enough to check by hand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.stats import added, ratio, summarize


class SummaryTests(SynchronousTestCase):
    """`summarize`"""

    def test_middle_and_extremes(self) -> None:
        """One slow round moves the greatest sample and not the middle."""
        summary = summarize({0: 10.0, 1: 12.0, 2: 90.0})
        self.assertEqual((summary.middle, summary.low, summary.high), (12.0, 10.0, 90.0))

    def test_spread_is_of_the_farthest(self) -> None:
        """The spread is the larger of the two distances, as a share of the middle."""
        self.assertEqual(summarize({0: 8.0, 1: 10.0, 2: 11.0}).spread, 0.2)
        self.assertEqual(summarize({0: 9.0, 1: 10.0, 2: 14.0}).spread, 0.4)

    def test_zero_has_no_spread(self) -> None:
        """A middle of 0 divides nothing."""
        self.assertEqual(summarize({0: 0.0, 1: 0.0}).spread, 0.0)

    def test_negative_middle(self) -> None:
        """Added latency can come out below 0; its spread is still a positive share."""
        self.assertEqual(summarize({0: -10.0, 1: -10.0, 2: -5.0}).spread, 0.5)

    def test_nothing(self) -> None:
        """No samples are no figure."""
        self.assertRaises(ValueError, summarize, {})


class RatioTests(SynchronousTestCase):
    """`ratio`"""

    def test_round_by_round(self) -> None:
        """A machine that is ten times slower in one round leaves the ratio alone, which a ratio of medians would not."""
        ours, theirs = {0: 2.0, 1: 20.0, 2: 2.0}, {0: 1.0, 1: 10.0, 2: 1.0}
        self.assertEqual(ratio(ours, theirs), 2.0)
        self.assertEqual(ratio({0: 20.0, 1: 20.0, 2: 2.0}, {0: 10.0, 1: 10.0, 2: 1.0}), 2.0)

    def test_only_common_rounds(self) -> None:
        """A round that failed for one of the two is left out."""
        self.assertEqual(ratio({0: 3.0, 1: 100.0}, {0: 1.0, 2: 1.0}), 3.0)

    def test_nothing_in_common(self) -> None:
        """No common round, or a base of nothing: no ratio."""
        self.assertIsNone(ratio({0: 3.0}, {1: 1.0}))
        self.assertIsNone(ratio({0: 3.0}, {0: 0.0}))
        self.assertIsNone(ratio({0: 3.0}, {0: -1.0}))


class AddedTests(SynchronousTestCase):
    """`added`"""

    def test_figure_by_figure(self) -> None:
        """Each quantile less the same quantile without a proxy; one that the base lacks is left out."""
        self.assertEqual(added({"p50": 30.0, "p99": 90.0}, {"p50": 10.0}), {"p50": 20.0})
