"""The code in `docs/write-a-strategy.md` does what the page says of it."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from unittest import TestResult

from twisted.trial.unittest import SynchronousTestCase

from txlb import options
from txlb.plugin import StrategyMaker
from txlb.registry import strategies

PAGE = Path(__file__).parents[2] / "docs" / "write-a-strategy.md"


def blocks() -> list[str]:
    """The Python blocks of the page, in order."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


class TestPage(SynchronousTestCase):
    """The blocks, run as a reader would."""

    def setUp(self) -> None:
        """Make the page's module `acme.lb`."""
        self.acme = types.ModuleType("acme")
        self.lb = types.ModuleType("acme.lb")
        for module in (self.acme, self.lb):
            self.patch(sys, "modules", {**sys.modules, module.__name__: module})
        self.strategy, self.line, self.kit, self.turns, self.ground, self.options = blocks()
        exec(self.strategy, self.lb.__dict__)

    def failures(self) -> set[str]:
        """The names of the kit's tests that fail for what `acme.lb` holds."""
        names: dict = {"__name__": "acme.tests"}
        exec(self.kit, names)
        result = TestResult()
        cls = names["TestEldest"]
        for name in sorted(name for name in dir(cls) if name.startswith("test_")):
            cls(name).run(result)
        return {case.id().rpartition(".")[2] for case, _ in result.failures + result.errors}

    def test_fifteen_lines(self) -> None:
        """The strategy's class and what it imports are no more than fifteen lines of code, as the title says."""
        code = [line for line in self.strategy.splitlines() if line.strip() and not line.startswith("#")]
        self.assertLessEqual(len(code), 15)

    def test_kit_finds_the_fault_that_the_page_names(self) -> None:
        """As printed first, it fails at that one test and no other."""
        self.assertEqual(self.failures(), {"test_nobody_left_out"})

    def test_corrected(self) -> None:
        """With turns for equals it passes everything."""
        before, _, _ = self.strategy.partition("    def pick")
        exec(before + self.turns, self.lb.__dict__)
        self.assertEqual(self.failures(), set())

    def test_plugin_line(self) -> None:
        """The line names the class."""
        names: dict = {}
        exec(self.line, names)
        self.assertIsInstance(names["eldest"], StrategyMaker)
        self.assertIs(names["eldest"].load(), self.lb.Eldest)

    def test_ground(self) -> None:
        """The connection is opened and closed."""
        names = dict(self.lb.__dict__)
        exec(self.ground, names)
        self.assertEqual(names["backend"].active, 0)
        self.assertEqual(names["ground"].clock.seconds(), 0.2)

    def test_options(self) -> None:
        """They are described and checked as the page says."""
        names: dict = {"__name__": "acme.lb"}
        self.lb.__dict__.update(names)
        exec(self.options, self.lb.__dict__)
        cls = self.lb.Options
        self.assertEqual([o.type for o in options.describe(cls)], ["integer", "duration", "host | listener"])
        self.assertEqual(options.check(cls, {"depth": 1, "window": "250ms", "by": "listener"}), [])
        self.assertEqual(len(options.check(cls, {"depth": 0})), 1)


class TestStrategiesPage(SynchronousTestCase):
    """`docs/strategies.md` speaks of all that there is."""

    def test_complete(self) -> None:
        """Each built-in strategy has its heading, and each of its options is named."""
        text = (PAGE.parent / "strategies.md").read_text()
        for maker in strategies().makers:
            if maker.factory.startswith("txlb.strategies."):
                self.assertRegex(text, rf"(?m)^###? {maker.name}$")
                for option in options.describe(maker.load()):
                    self.assertIn(f"`{option.name}`", text, f"{maker.name}: {option.name}")
