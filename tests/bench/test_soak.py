"""How a soak judges, on numbers and lines that are made up."""

from __future__ import annotations

import yaml
from twisted.trial.unittest import SynchronousTestCase

from bench.soak.faults import STRATEGIES, configuration
from bench.soak.traffic import PATTERN, SPAN, pattern
from bench.soak.verdict import at_rest, flat, growth, left_over, troubles
from txlb.registry import strategies


class LeftOverTests(SynchronousTestCase):
    """`left_over`"""

    def test_as_it_was(self) -> None:
        """Equal counts leave nothing."""
        self.assertEqual(left_over({"pairs": 0, "descriptors": 12}, {"pairs": 0, "descriptors": 12}), {})

    def test_more_and_less(self) -> None:
        """A leak is told with its size; less than before is not as it was either."""
        self.assertEqual(left_over({"pairs": 0, "readers": 3}, {"pairs": 2, "readers": 1}), {"pairs": 2, "readers": -2})

    def test_what_was_not_there_before(self) -> None:
        """A timer of a kind that the baseline has none of is told by its name, and so is one that is missing."""
        self.assertEqual(
            left_over({"call Watch._due": 4}, {"call Watch._due": 4, "call Probe._late": 1}), {"call Probe._late": 1}
        )
        self.assertEqual(left_over({"call Watch._due": 4}, {}), {"call Watch._due": -4})


class AtRestTests(SynchronousTestCase):
    """`at_rest`"""

    def test_timers_that_end_by_themselves_are_not_in_it(self) -> None:
        """The moment at which the least is held counts."""
        seen = [{"pairs": 0, "call settle": 1, "call due": 4}, {"pairs": 0, "call due": 4}, {"pairs": 0, "call due": 5}]
        self.assertEqual(at_rest(seen), {"pairs": 0, "call due": 4})


class GrowthTests(SynchronousTestCase):
    """`growth` and `flat`"""

    def test_the_start_does_not_count(self) -> None:
        """Pools and caches that fill in the first fifth are no leak."""
        resident = [10_000, 40_000] + [50_000] * 8
        self.assertEqual(growth(resident), 0)
        self.assertTrue(flat(resident))

    def test_one_peak_does_not_count(self) -> None:
        """Medians: a moment of many connections is no leak."""
        self.assertTrue(flat([50_000] * 14 + [90_000]))

    def test_steady_growth_counts(self) -> None:
        """A little in every sample adds up."""
        resident = [50_000 + 1_000 * n for n in range(20)]
        self.assertEqual(growth(resident), 12_000)
        self.assertFalse(flat(resident))

    def test_too_little_to_tell(self) -> None:
        """A few samples are no verdict."""
        self.assertRaises(ValueError, growth, [1] * 9)


class TroublesTests(SynchronousTestCase):
    """`troubles`"""

    def test_found(self) -> None:
        """Unhandled errors, tracebacks and critical lines, and nothing that an operator should read anyway."""
        log = [
            "2026-01-01T00:00:00+0000 [txlb#info] one connection failed",
            "2026-01-01T00:00:00+0000 [txlb#critical] Unhandled error in Deferred:",
            "\tTraceback (most recent call last):",
            "2026-01-01T00:00:00+0000 [txlb#error] Not reloaded: 1:2: broken",
        ]
        self.assertEqual(len(troubles(log)), 2)


class WorldTests(SynchronousTestCase):
    """What the soak gives to the balancer and expects from it."""

    def test_configuration(self) -> None:
        """One listener on the port, a backend for each port with its weight."""
        read = yaml.safe_load(configuration(8080, [1, 2], "epoll", "least-time", [1, 0]))
        self.assertEqual(read["listeners"]["soak"]["listen"], "tcp:8080:interface=127.0.0.1")
        backends = read["pools"]["soak"]["backends"]
        self.assertEqual(
            [(b["connect"], b["weight"]) for b in backends], [("tcp:127.0.0.1:1", 1), ("tcp:127.0.0.1:2", 0)]
        )

    def test_strategies_exist(self) -> None:
        """A reload to a strategy that is not installed would be refused, and would soak nothing."""
        self.assertLessEqual(set(STRATEGIES), set(strategies().names()))

    def test_pattern_is_the_backends(self) -> None:
        """The first bytes of xorshift64 as wire.h computes them, and its beginning again at its end."""
        made = pattern()
        self.assertEqual(len(made), PATTERN + SPAN)
        self.assertEqual(made[:4], bytes(first_bytes(4)))
        self.assertEqual(made[PATTERN:], made[:SPAN])


def first_bytes(count: int) -> list[int]:
    """Bits 32 to 39 of the states of xorshift64 (Marsaglia: 13, 7, 17) from wire.h's seed."""
    x, found = 88172645463325252, []
    for _ in range(count):
        for shift in (13, -7, 17):
            x = (x ^ (x << shift if shift > 0 else x >> -shift)) % 2**64
        found.append((x >> 32) % 256)
    return found
