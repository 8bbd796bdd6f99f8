"""Tests for the picture and the tables."""

from __future__ import annotations

from xml.etree import ElementTree

from attrs import evolve
from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from tests.simulate.plans import plan, result
from txlb.simulate.changes import Change
from txlb.simulate.plot import Box, plot
from txlb.simulate.results import Result, quantile, response_of
from txlb.simulate.service import DEFAULT
from txlb.simulate.svg import nice_step
from txlb.simulate.table import milliseconds, percent, tables

SVG = "{http://www.w3.org/2000/svg}"


def some_results(count: int = 3) -> list[Result]:
    """The results of two strategies."""
    made = plan(count, 1000, rate=100.0, changes=(Change(5.0, "b000", False),))
    return [evolve(result(made, name), strategy=name) for name in ("round-robin", "maglev")]


class PlotTests(SynchronousTestCase):
    """One SVG file."""

    def test_well_formed(self) -> None:
        """It is XML, with every strategy named twice (in the curves and over its column), and a bar a backend."""
        results = some_results()
        root = ElementTree.fromstring(plot(results, "a & b <c>"))
        texts = [element.text for element in root.iter(f"{SVG}text")]
        self.assertEqual([texts.count(name) for name in ("round-robin", "maglev", "a & b <c>")], [2, 2, 1])
        bars = [element for element in root.iter(f"{SVG}rect") if element.get("fill-opacity")]
        self.assertEqual(len(bars), 6)
        for bar in bars:
            self.assertGreaterEqual(float(bar.get("height", "-1")), 0.0)

    def test_deterministic(self) -> None:
        """The same results make the same bytes."""
        self.assertEqual(plot(some_results(), "x"), plot(some_results(), "x"))

    def test_names_are_escaped(self) -> None:
        """A name cannot smuggle markup in, and a long one is shortened."""
        results = [evolve(some_results()[0], strategy="<script>alert(1)</script>" * 5)]
        text = plot(results, "")
        self.assertNotIn("<script", text)
        ElementTree.fromstring(text)

    def test_nothing_served(self) -> None:
        """A simulation in which all were rejected can be drawn too."""
        found = result(plan(2, 10, service=evolve(DEFAULT, failing=1.0)), "round-robin")
        self.assertEqual((found.served, found.rejected), (0, 10))
        self.assertIn("no connection was served", plot([found], ""))

    def test_nice_step(self) -> None:
        """Grid lines fall on round numbers."""
        self.assertEqual([nice_step(most) for most in (4.0, 10.0, 47.0, 0.3)], [1.0, 5.0, 20.0, 0.1])

    def test_scales(self) -> None:
        """Far apart values share a chart on a logarithmic scale; ticks begin at 0 and stay inside."""
        straight, bent = Box(0, 0, 100, 100, 45.0), Box(0, 0, 100, 100, 999.0, True)
        self.assertEqual(straight.ticks(), [0.0, 20.0, 40.0])
        self.assertEqual(bent.ticks(), [0.0, 1.0, 10.0, 100.0])
        self.assertEqual([box.at(1.0, 0.0) for box in (straight, bent)], [(100.0, 100.0)] * 2)
        self.assertEqual([box.at(0.0, 1e9) for box in (straight, bent)], [(0.0, 0.0)] * 2)
        self.assertApproximates(bent.at(0.0, 99.0)[1], 100 / 3, 0.01)


class TableTests(SynchronousTestCase):
    """What a person sees."""

    def shown(self, results: list[Result]) -> str:
        """All tables as text."""
        console = Console(width=160, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
        self.addCleanup(console.file.close)
        for table in tables(results):
            console.print(table)
        return console.export_text()

    def test_shows_all(self) -> None:
        """Strategies, changes and backends are named."""
        text = self.shown(some_results())
        for words in ("round-robin", "maglev", "b000 leaves at 5 s", "b002", "unfairness"):
            self.assertIn(words, text)

    def test_many_backends(self) -> None:
        """Of very many backends the busiest and the idlest are listed."""
        self.assertIn("… 84 more …", self.shown([result(plan(100, 2000), "random")]))

    def test_words(self) -> None:
        """Times and shares are short."""
        self.assertEqual([milliseconds(s) for s in (0.0123456, 1.5)], ["12.3 ms", "1.5 s"])
        self.assertEqual(percent(0.1234), "12.3 %")


class FigureTests(SynchronousTestCase):
    """Quantiles."""

    def test_quantiles(self) -> None:
        """The nearest rank; of nothing, zeros."""
        ordered = [float(n) for n in range(100)]
        self.assertEqual([quantile(ordered, q) for q in (0.0, 0.5, 0.99, 1.0)], [0.0, 50.0, 99.0, 99.0])
        self.assertEqual(response_of([]).max, 0.0)
