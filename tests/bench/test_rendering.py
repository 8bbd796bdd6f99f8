"""Tables and pictures, from results that are made up."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from bench import markdown, plots
from bench.results import Results
from bench.scenarios import Base, Metric
from bench.svg import apart, decades, nice
from bench.table import number, show

PEERS = {"direct": "no proxy", "haproxy": "2.6", "portforward": "26.10", "txlb-epoll": "0.1"}


def results() -> Results:
    """Every kind of figure, two rounds each."""
    made = Results({"cores": "2"}, {"rounds": 2}, dict(PEERS), failures=["kept, nginx: [gone]"])
    kept = Base("kept", "kept", (Metric("cpu", "request", "µs"),))
    quantiles = tuple(Metric(name, f"added, {name}", "µs") for name in ("p50", "p90", "p99", "p99.9"))
    latency = Base("latency", "latency", quantiles, added=True, direct=True)
    growth = Base("backends", "backends", (Metric("cpu", "new connection", "µs"),))
    pick = Base("pick", "pick", (Metric("pick", "pick", "ns"), Metric("cycle", "cycle", "ns")))
    for n in (0, 1):
        made.add_round(
            kept, None, n, {"haproxy": {"cpu": 8.0 + n}, "portforward": {"cpu": 32}, "txlb-epoll": {"cpu": 9}}
        )
        figures = {peer: {q.key: 50.0 * (k + 1) for q in quantiles} for k, peer in enumerate(PEERS)}
        made.add_round(latency, None, n, figures)
        for point in (2, 10000):
            made.add_round(growth, point, n, {"haproxy": {"cpu": 40.0}, "txlb-epoll": {"cpu": 44.0 + point / 1000}})
        for point in (10, 1000, 10000):
            made.add_round(pick, point, n, {"maglev": {"pick": 200.0, "cycle": 300.0 + point}})
    return made


class TableTests(SynchronousTestCase):
    """`bench.table`"""

    def test_numbers(self) -> None:
        """Three digits that count, whatever the size."""
        shown = [number(value) for value in (0.7312, 1.234, 25.64, 139.4, 2133.0, -12.34)]
        self.assertEqual(shown, ["0.731", "1.23", "25.6", "139", "2,133", "-12.3"])

    def test_everything_is_shown(self) -> None:
        """The medians, the ratios of txlb, each point, each strategy, and the failures, brackets and all."""
        out = io.StringIO()
        show(results(), Console(file=out, width=160))
        for words in ("8.50 ±6%", "1.06 of haproxy", "0.28 of portforward", "10,000", "maglev", "kept, nginx: [gone]"):
            self.assertIn(words, out.getvalue())

    def test_nothing_measured(self) -> None:
        """Without figures there are no empty tables."""
        out = io.StringIO()
        show(Results({}, {}, {}), Console(file=out))
        self.assertEqual(out.getvalue().strip(), "")


class MarkdownTests(SynchronousTestCase):
    """`bench.markdown`"""

    def test_tables(self) -> None:
        """Each row has as many cells as its head, and the figures and ratios are in them."""
        text = markdown.render(results())
        self.assertIn("| request | µs | - | 8.50 ±6% | 32.0 ±0% | 9.00 ±0% (1.06, 0.28) |", text)
        self.assertIn("| maglev | 200 | 200 | 200 | 310 | 1,300 | 10,300 |", text)
        for block in text.split("\n\n"):
            rows = [line for line in block.splitlines() if line.startswith("|")]
            self.assertLessEqual(len({row.count("|") for row in rows}), 1)

    def test_a_page_keeps_its_words(self) -> None:
        """Only what is between the marks is replaced, as often as one likes; a new file holds the tables alone."""
        page, fresh = Path(self.mktemp()), Path(self.mktemp())
        page.write_text(f"# Words\n\n{markdown.BEGIN}\nold\n{markdown.END}\n\nMore.\n")
        markdown.write(results(), page)
        once = page.read_text()
        self.assertTrue(once.startswith("# Words\n") and once.endswith("\n\nMore.\n"))
        self.assertNotIn("old", once)
        self.assertIn("| maglev |", once)
        markdown.write(results(), page)
        self.assertEqual(page.read_text(), once)
        markdown.write(results(), fresh)
        self.assertEqual(fresh.read_text(), markdown.render(results()))

    def test_workers_are_compared_with_one(self) -> None:
        """What several cost is given as a multiple of what one does."""
        made = results()
        cost = Base("workers-cost", "cost", (Metric("new", "by workers", "µs"),))
        for point, value in ((1, 100.0), (4, 110.0)):
            made.add_round(cost, point, 0, {"txlb-epoll": {"new": value}})
        self.assertIn("110 ±0% ×1.10", markdown.render(made))


class PlotTests(SynchronousTestCase):
    """`bench.plots`"""

    def test_all_pictures_are_well_formed(self) -> None:
        """Each is XML that names its peers, and nothing lies outside of it."""
        folder = Path(self.mktemp())
        written = plots.write(results(), folder)
        self.assertEqual([path.name for path in written], ["cost.svg", "latency.svg", "growth.svg", "pick.svg"])
        for path in written:
            root = ElementTree.fromstring(path.read_text())
            texts = [element for element in root.iter() if element.tag.endswith("}text")]
            self.assertTrue(any(element.text in ("txlb-epoll", "maglev") for element in texts), path)
            for element in texts:
                self.assertTrue(0 <= float(element.attrib["x"]) <= float(root.attrib["width"]), element.text)
                self.assertTrue(0 <= float(element.attrib["y"]) <= float(root.attrib["height"]), element.text)

    def test_names_are_escaped(self) -> None:
        """A name of the user's own cannot break the picture."""
        made = results()
        made.add_round(Base("kept", "kept", (Metric("cpu", "request", "µs"),)), None, 0, {"txlb+<&>": {"cpu": 1.0}})
        made.versions["txlb+<&>"] = "1"
        picture = plots.costs(made)
        assert picture is not None
        self.assertIn("txlb+<&>", [element.text for element in ElementTree.fromstring(picture.text()).iter()])

    def test_nothing_measured(self) -> None:
        """No figures, no files."""
        self.assertEqual(plots.write(Results({}, {}, {}), Path(self.mktemp())), [])


class ScaleTests(SynchronousTestCase):
    """The arithmetic of axes."""

    def test_nice_steps(self) -> None:
        """Round, from 0, reaching the top, neither few nor many."""
        self.assertEqual(nice(47), [0, 10, 20, 30, 40, 50])
        for top in (0.013, 1.0, 7.2, 99.0, 100.0, 12345.0):
            steps = nice(top)
            self.assertGreaterEqual(steps[-1], top)
            self.assertTrue(4 <= len(steps) <= 8, (top, steps))

    def test_decades(self) -> None:
        """Powers of ten around the values, and no further one where they begin or end on one."""
        self.assertEqual(decades(30, 2000), [10, 100, 1000, 10000])
        self.assertEqual(decades(10, 1000), [10, 100, 1000])

    def test_labels_are_kept_apart(self) -> None:
        """Names at the same height move apart, those that are far stay, and the order holds."""
        placed = apart([100.0, 100.0, 10.0], 16)
        self.assertEqual(placed[2], 10.0)
        self.assertAlmostEqual(abs(placed[0] - placed[1]), 16)
        self.assertAlmostEqual(sum(placed[:2]) / 2, 100)
