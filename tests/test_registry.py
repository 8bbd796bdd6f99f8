"""The registry: one door for all strategies and health checks."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from txlb import registry
from txlb.errors import BrokenPlugin, OptionError, UnknownPlugin
from txlb.interfaces import IHealthCheck, IObservesLoad, IStrategy
from txlb.plugin import HealthCheckMaker, StrategyMaker


@implementer(IStrategy)
@frozen
class First:
    """The smallest strategy."""

    size: int = 1
    seed: str = ""

    def rebuild(self, backends: tuple[Any, ...]) -> None:
        """Keeps nothing."""

    def pick(self, client: Any, exclude: Any = ()) -> None:
        """Nobody."""


class NoStrategy:
    """A class that forgot its interface."""


@implementer(IStrategy, IObservesLoad)
class NoPick:
    """A class that forgot what its interfaces ask for."""

    changed = "a word"

    def rebuild(self, backends: tuple[Any, ...]) -> None:
        """Keeps nothing."""


@implementer(IStrategy)
class OtherPick:
    """A class whose `pick` cannot be called as it will be."""

    def rebuild(self, backends: tuple[Any, ...]) -> None:
        """Keeps nothing."""

    def pick(self, client: Any) -> None:
        """Knows nothing of retries."""


@implementer(IHealthCheck)
class NoProbe:
    """A check without `probe`."""


HERE = __name__
MAKERS = (
    StrategyMaker("first", f"{HERE}:First", "the first"),
    StrategyMaker("none", f"{HERE}:NoStrategy", "no strategy"),
    StrategyMaker("gone", "surely.not.there:X", "not there"),
    StrategyMaker("twice", f"{HERE}:First", "one"),
    StrategyMaker("twice", f"{HERE}:NoStrategy", "two"),
)


class RegistryTests(SynchronousTestCase):
    """`Registry` over makers of the test's own."""

    def setUp(self) -> None:
        self.registry = registry.strategies(MAKERS)

    def test_names(self) -> None:
        """Sorted, each once."""
        self.assertEqual(self.registry.names(), ["first", "gone", "none", "twice"])

    def test_builds(self) -> None:
        """With options, and with what is given where there is a field for it."""
        self.assertEqual(self.registry.build("first", {"size": 3}, clock=object()), First(3))

    def test_unknown(self) -> None:
        """The error lists the names that exist, and the nearest."""
        error = self.assertRaises(UnknownPlugin, self.registry.load, "frist")
        self.assertEqual(
            str(error), "unknown strategy 'frist'; did you mean first? (installed: first, gone, none, twice)"
        )
        error = self.assertRaises(UnknownPlugin, self.registry.maker, "zzz")
        self.assertEqual(str(error), "unknown strategy 'zzz' (installed: first, gone, none, twice)")

    def test_broken_promises(self) -> None:
        """A class that says it implements an interface of ours, and lacks a method or has one of another shape, is told
        so in one line, with how the method will be called."""
        found = registry.strategies(
            [StrategyMaker(cls.__name__, f"{HERE}:{cls.__name__}", "no") for cls in (NoPick, OtherPick)]
        )
        error = self.assertRaises(BrokenPlugin, found.check, "NoPick", {})
        self.assertIn("breaks its promise: pick(client, exclude=()) of IStrategy is missing", str(error))
        self.assertIn("changed(backend) of IObservesLoad: implementation is not a method", str(error))
        error = self.assertRaises(BrokenPlugin, found.load, "OtherPick")
        self.assertEqual(
            str(error),
            f"OtherPick ({HERE}.OtherPick) breaks its promise: "
            "pick(client, exclude=()) of IStrategy: implementation doesn't allow enough arguments",
        )
        checks = registry.health_checks([HealthCheckMaker("silent", f"{HERE}:NoProbe", "no")])
        error = self.assertRaises(BrokenPlugin, checks.load, "silent")
        self.assertIn("probe(connect) of IHealthCheck is missing", str(error))

    def test_two_of_one_name(self) -> None:
        """Nobody can tell which was meant: an error that names both; the other plugins are not affected."""
        error = self.assertRaises(BrokenPlugin, self.registry.load, "twice")
        self.assertEqual(str(error), f"2 plugins are named twice: {HERE}:First, {HERE}:NoStrategy")
        self.assertIs(self.registry.load("first"), First)

    def test_without_the_interface(self) -> None:
        """A class that does not say that it is a strategy is none."""
        error = self.assertRaises(BrokenPlugin, self.registry.load, "none")
        self.assertEqual(str(error), f"none ({HERE}.NoStrategy) does not implement IStrategy")

    def test_not_importable(self) -> None:
        """Only asking for it is an error."""
        error = self.assertRaises(BrokenPlugin, self.registry.build, "gone", {})
        self.assertIn("surely", str(error))

    def test_checks_options(self) -> None:
        """What is wrong with options, without an instance of one's own; building with them raises."""
        [problem] = self.registry.check("first", {"size": "3"})
        self.assertEqual((problem.option, problem.message), ("size", "must be a whole number, not '3'"))
        self.assertEqual(self.registry.check("first", {"size": 3}), [])
        self.assertRaises(OptionError, self.registry.build, "first", {"size": "3"})


class InstalledTests(SynchronousTestCase):
    """What this package itself announces by the same door."""

    def test_strategies(self) -> None:
        """All names of the contract that exist are found, load, and have a line of help."""
        found = registry.strategies()
        self.assertTrue({"round-robin", "least-connections", "least-time"} <= set(found.names()))
        for maker in found.makers:
            if maker.factory.startswith("txlb."):
                found.load(maker.name)
                self.assertRegex(maker.help, r"^\S.*\S$")

    def test_kinds_are_apart(self) -> None:
        """The health checks' registry holds no strategy."""
        self.assertEqual(set(registry.health_checks().names()) & set(registry.strategies().names()), set())
        self.assertEqual(registry.health_checks([HealthCheckMaker("tcp", "m:C", "h")]).names(), ["tcp"])
