"""From rounds to rows: what is subtracted, what is compared with what, and JSON there and back."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from bench.results import Key, Results
from bench.scenarios import Base, Metric

KEPT = Base("kept", "kept", (Metric("cpu", "request", "µs"),))
LATENCY = Base("latency", "latency", (Metric("p50", "added, p50", "µs"),), direct=True, added=True)


def results() -> Results:
    """Two rounds of two scenarios."""
    made = Results(
        {"cores": "2"}, {"rounds": 2}, {"direct": "", "haproxy": "2.6", "txlb-epoll": "1", "txlb-epoll+x": "1"}
    )
    for number in (0, 1):
        figures = {"txlb-epoll+x": {"cpu": 33.0}, "haproxy": {"cpu": 10.0 + number}, "txlb-epoll": {"cpu": 30.0}}
        made.add_round(KEPT, None, number, figures)
        made.add_round(LATENCY, None, number, {"direct": {"p50": 50.0}, "haproxy": {"p50": 60.0 + 10 * number}})
    return made


class ResultsTests(SynchronousTestCase):
    """`Results`"""

    def test_added_is_less_the_same_rounds_direct(self) -> None:
        """Without a proxy the time stands as it is; with one, only what it adds."""
        made = results()
        self.assertEqual(made.samples[Key("latency", "p50", None, "haproxy")], {0: 10.0, 1: 20.0})
        self.assertEqual(made.samples[Key("latency", "p50", None, "direct")], {0: 50.0, 1: 50.0})

    def test_added_needs_direct(self) -> None:
        """Where the run without a proxy failed, the round gives no figure rather than a wrong one."""
        made = results()
        made.add_round(LATENCY, None, 2, {"haproxy": {"p50": 60.0}})
        self.assertNotIn(2, made.samples[Key("latency", "p50", None, "haproxy")])

    def test_ratio_to_a_base(self) -> None:
        """The ratio is that of the rounds, and missing bases give none."""
        made, key = results(), Key("kept", "cpu", None, "txlb-epoll")
        self.assertAlmostEqual(made.ratio(key, "haproxy") or 0, (3.0 + 30 / 11) / 2)
        self.assertIsNone(made.ratio(key, "portforward"))

    def test_a_variant_is_compared_with_the_plain_one(self) -> None:
        """`--against` adds its own base."""
        made = results()
        self.assertIn("txlb-epoll", made.bases())
        self.assertAlmostEqual(made.ratio(Key("kept", "cpu", None, "txlb-epoll+x"), "txlb-epoll") or 0, 1.1)

    def test_peers_are_in_the_order_of_the_versions(self) -> None:
        """Not in the order in which a round happened to run them."""
        self.assertEqual(results().peers("kept", "cpu"), ["haproxy", "txlb-epoll", "txlb-epoll+x"])

    def test_json_there_and_back(self) -> None:
        """What was written can be shown again: every sample, and the medians for others to read."""
        made = results()
        again = Results.from_json(made.as_json())
        self.assertEqual(again.samples, made.samples)
        self.assertEqual(again.as_json(), made.as_json())
        row = json.loads(made.as_json())["figures"][0]
        self.assertEqual((row["scenario"], row["median"], row["unit"]), ("kept", 33.0, "µs"))

    def test_a_scenario_run_again_replaces_the_first_run(self) -> None:
        """Its samples, also those of peers that it no longer has, and its failures; others stay."""
        made, again = results(), Results({}, {}, {"haproxy": "2.6"}, failures=["latency, nginx: gone"])
        made.failures = ["kept, nginx: gone", "latency at 5, nginx: gone", "new, nginx: gone"]
        again.add_round(LATENCY, None, 0, {"direct": {"p50": 1.0}, "haproxy": {"p50": 3.0}})
        made.replace(again)
        self.assertEqual(made.samples[Key("latency", "p50", None, "haproxy")], {0: 2.0})
        self.assertIn(Key("kept", "cpu", None, "haproxy"), made.samples)
        self.assertEqual(made.failures, ["kept, nginx: gone", "new, nginx: gone", "latency, nginx: gone"])

    def test_points_in_order(self) -> None:
        """Points come sorted, whatever the order of the runs."""
        made = results()
        for point in (1000, 10, 100):
            made.add_round(KEPT, point, 0, {"haproxy": {"cpu": 1.0}})
        self.assertEqual(made.points("kept", "cpu"), [None, 10, 100, 1000])
