"""`txlb strategies`: what is listed, and what is wrong with what is listed."""

from __future__ import annotations

import io
import sys

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txlb import registry
from txlb.cli import main, strategies
from txlb.interfaces import IStrategy
from txlb.plugin import StrategyMaker


@implementer(IStrategy)
@define(eq=False)
class Optional:
    """Has an option that must be given and one that need not."""

    depth: int
    width: str = field(default="wide", metadata={"help": "how wide it is"})

    def rebuild(self, backends: tuple) -> None:
        """Nothing to do."""

    def pick(self, client: object, exclude: object = ()) -> None:
        """Nobody."""


MINE = StrategyMaker("mine", f"{__name__}:Optional", "what mine does")


class _Terminal(io.StringIO):
    """A standard output that claims to be a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class TestStrategies(SynchronousTestCase):
    """The list, as columns and as a table."""

    def listed(self, *makers: object) -> str:
        """The columns for these plugins."""
        return "\n".join(strategies.columns(strategies.rows(registry.strategies(makers))))

    def printed(self, out: io.StringIO) -> str:
        """What the command writes there, for all that is installed; it exits with 0."""
        self.patch(sys, "stdout", out)
        self.assertEqual(main(["strategies"]), 0)
        return out.getvalue()

    def test_name_help_options(self) -> None:
        """A line with the name and the help, and one for each option with type, default and help."""
        self.assertEqual(
            self.listed(MINE).splitlines(),
            [
                "mine  what mine does",
                "        depth: integer (required)",
                "        width: text (default wide)  how wide it is",
            ],
        )

    def test_broken(self) -> None:
        """One that cannot be imported, or is no strategy, is listed with where it is and what is wrong; the rest as ever."""
        missing = StrategyMaker("missing", "no.such:Thing", "was fine once")
        no_strategy = StrategyMaker("number", "builtins:int", "not one")
        text = self.listed(MINE, missing, no_strategy)
        self.assertRegex(text, r"missing +was fine once \[no\.such:Thing\] !! broken: .*No module named 'no'")
        self.assertRegex(text, r"number +not one \[builtins:int\] !! broken: .*does not implement IStrategy")
        self.assertIn("what mine does", text)

    def test_duplicates(self) -> None:
        """Two of one name are both listed, with where they are, and called duplicates."""
        text = self.listed(MINE, StrategyMaker("mine", "other:Mine", "another"))
        self.assertEqual(text.count("!! duplicate: 2 plugins have this name"), 2)
        self.assertIn("other:Mine", text)

    def test_nothing_installed(self) -> None:
        """An empty list is no error."""
        self.assertEqual(self.listed(), "")

    def test_pipe_and_terminal(self) -> None:
        """Into a pipe go plain columns, at a terminal there is a table; all of the built-in ones are in either."""
        plain, table = self.printed(io.StringIO()), self.printed(_Terminal())
        for name in ("round-robin", "least-time", "maglev"):
            self.assertIn(f"\n{name} ", "\n" + plain)
            self.assertIn(name, table)
        self.assertNotIn("│", plain)
        self.assertIn("│", table)
