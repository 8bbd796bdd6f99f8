"""Tests for `txlb.simulate.workload` and the trace."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txlb.errors import ConfigError, OptionError
from txlb.interfaces import IClient
from txlb.simulate.trace import MOST_PROBLEMS, read_trace
from txlb.simulate.workload import SimClient, synthetic


class SyntheticTests(SynchronousTestCase):
    """Arrivals that are made up."""

    def test_poisson(self) -> None:
        """As many a second as asked for, with gaps that vary as much as their mean."""
        times = synthetic(20_000, 100.0, "poisson", 10, 0.0, "1").times
        gaps = [b - a for a, b in pairwise(times)]
        mean = sum(gaps) / len(gaps)
        deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
        self.assertApproximates(mean, 0.01, 0.0003)
        self.assertApproximates(deviation / mean, 1.0, 0.05)

    def test_constant(self) -> None:
        """One after another, evenly."""
        self.assertEqual(list(synthetic(4, 2.0, "constant", 1, 0.0, "1").times), [0.5, 1.0, 1.5, 2.0])

    def test_bursts(self) -> None:
        """So many in one moment; the same rate on average."""
        times = synthetic(10_000, 100.0, "bursts:50", 10, 0.0, "1").times
        self.assertEqual(set(Counter(times).values()), {50})
        self.assertApproximates(times[-1], 100.0, 20.0)

    def test_pattern_refused(self) -> None:
        """What is no pattern is told."""
        for wrong in ("", "fast", "poisson:3", "bursts:0", "bursts:x", "bursts:-1"):
            self.assertRaises(OptionError, synthetic, 1, 1.0, wrong, 1, 0.0, "1")

    def test_clients(self) -> None:
        """All clients come alike, or with a skew some much more often; each is a client as strategies know it."""
        even = synthetic(10_000, 1.0, "poisson", 10, 0.0, "1")
        self.assertLess(max(Counter(even.who).values()), 1200)
        skewed = Counter(synthetic(10_000, 1.0, "poisson", 10, 1.0, "1").who)
        self.assertGreater(skewed[0], 2500)
        self.assertEqual(len({client.host for client in even.clients}), 10)
        verifyObject(IClient, even.clients[0])

    def test_same_seed(self) -> None:
        """The same seed makes the same workload, another makes another."""
        first, again, other = (synthetic(100, 1.0, "poisson", 10, 0.5, seed) for seed in ("1", "1", "2"))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)


class TraceTests(SynchronousTestCase):
    """A recorded access log."""

    def written(self, *lines: object) -> str:
        """The path of a file with these lines."""
        path = self.mktemp()
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        Path(path).write_text("\n".join(texts) + "\n", encoding="utf-8")
        return path

    def record(self, started: float, host: str = "192.0.2.1", duration: float = 1.0) -> dict[str, object]:
        """A line of the log."""
        time = datetime.fromtimestamp(started, UTC).isoformat()
        return {"time": time, "client": host, "duration": duration, "outcome": "ok"}

    def test_sorted_and_scaled(self) -> None:
        """Lines are sorted by their start, times begin at 0, and `speed` makes the time run faster."""
        path = self.written(self.record(104.0, "b", 3.0), "", self.record(100.0, "a", 5.0), self.record(102.0, "b"))
        workload = read_trace(path, speed=2.0)
        self.assertEqual(list(workload.times), [0.0, 1.0, 2.0])
        self.assertEqual(list(workload.work), [5.0, 1.0, 3.0])
        self.assertEqual([workload.clients[who].host for who in workload.who], ["a", "b", "b"])
        self.assertTrue(workload.recorded)

    def test_most(self) -> None:
        """Only the first so many connections are taken."""
        path = self.written(*[self.record(n) for n in range(10)])
        self.assertEqual(len(read_trace(path, most=3).times), 3)

    def test_problems(self) -> None:
        """Each line that is wrong is told with its number, and what is wrong."""
        path = self.written(
            self.record(1.0),
            "{",
            "[1]",
            {**self.record(1.0), "client": None},
            {**self.record(1.0), "time": "noon"},
            {**self.record(1.0), "duration": -1},
            {**self.record(1.0), "duration": True},
        )
        error = self.assertRaises(ConfigError, read_trace, path)
        self.assertEqual([problem.line for problem in error.problems], [2, 3, 4, 5, 6, 7])
        self.assertIn("is not JSON", str(error.problems[0]))
        self.assertIn("time must be such as 2026-03-01T09:30:00.125Z, not 'noon'", str(error.problems[3]))

    def test_not_a_log(self) -> None:
        """A file of something else is given up after a few lines; an empty, binary or missing one is told."""
        error = self.assertRaises(ConfigError, read_trace, self.written(*["nonsense"] * 1000))
        self.assertEqual(len(error.problems), MOST_PROBLEMS)
        self.assertIn("no connections", str(self.assertRaises(ConfigError, read_trace, self.written(""))))
        binary = self.mktemp()
        Path(binary).write_bytes(b"\xff\xfe\x00")
        self.assertIn("not UTF-8", str(self.assertRaises(ConfigError, read_trace, binary)))
        self.assertIn("No such file", str(self.assertRaises(ConfigError, read_trace, "/nonexistent")))

    @settings(max_examples=100, deadline=None, database=None)
    @given(st.lists(st.one_of(st.text(max_size=30), st.recursive(st.none() | st.floats() | st.text(max_size=5),
           lambda inner: st.dictionaries(st.sampled_from(["time", "duration", "client"]), inner)).map(json.dumps)),
           max_size=4))  # fmt: skip
    def test_fuzz(self, lines: list[str]) -> None:
        """Any file is a workload or a ConfigError."""
        path = self.mktemp()
        Path(path).write_text("\n".join(lines), encoding="utf-8", errors="replace")
        try:
            self.assertTrue(read_trace(path).times)
        except ConfigError as error:
            self.assertTrue(error.problems)


class SimClientTests(SynchronousTestCase):
    """The client that strategies see."""

    def test_has_no_socket(self) -> None:
        """It has a host and a port, and no address object behind them."""
        self.assertEqual((SimClient("192.0.2.1").port, SimClient("192.0.2.1").address), (50000, None))
