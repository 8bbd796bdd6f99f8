"""The lines by which plugins announce themselves."""

from __future__ import annotations

import sys

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txlb.errors import BrokenPlugin
from txlb.interfaces import IHealthCheckMaker, IStrategyMaker
from txlb.plugin import HealthCheckMaker, StrategyMaker


class MakerTests(SynchronousTestCase):
    """`StrategyMaker` and `HealthCheckMaker`"""

    def test_are_plugins(self) -> None:
        """Twisted's plugin system finds them by these interfaces."""
        for maker, interface in ((StrategyMaker, IStrategyMaker), (HealthCheckMaker, IHealthCheckMaker)):
            verifyObject(IPlugin, maker("n", "m:C", "help"))
            verifyObject(interface, maker("n", "m:C", "help"))

    def test_kinds_are_apart(self) -> None:
        """A health check is never taken for a strategy."""
        self.assertFalse(IStrategyMaker.providedBy(HealthCheckMaker("n", "m:C", "h")))
        self.assertFalse(IHealthCheckMaker.providedBy(StrategyMaker("n", "m:C", "h")))

    def test_a_line_imports_nothing(self) -> None:
        """Listing what is installed must not import it: not even a module that is not there."""
        StrategyMaker("n", "surely.not.there:Class", "help")
        self.assertNotIn("surely", sys.modules)

    def test_loads_its_class(self) -> None:
        """`package.module:Class`"""
        self.assertIs(StrategyMaker("n", "txlb.errors:BrokenPlugin", "h").load(), BrokenPlugin)

    def test_says_what_is_broken(self) -> None:
        """No module, no class, no colon, not a class: BrokenPlugin, with the plugin's name and where it points."""
        for factory in ("surely.not.there:C", "txlb.errors:Nope", "txlb.errors", "txlb.units:parse_duration", "", ":C"):
            with self.subTest(factory=factory):
                error = self.assertRaises(BrokenPlugin, StrategyMaker("acme", factory, "h").load)
                self.assertIn(f"acme ({factory})", str(error))
                self.assertNotIn("\n", str(error))
