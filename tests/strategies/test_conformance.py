"""Every strategy that is registered passes the kit: the built-in ones, and any other that is installed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txlb import options
from txlb.errors import BrokenPlugin
from txlb.registry import strategies
from txlb.strategies.hashing import Hashing
from txlb.testing import StickyConformance, StrategyConformance

BUILT_IN = {
    "round-robin",
    "least-connections",
    "least-time",
    "random",
    "power-of-two",
    "peak-ewma",
    "source-hash",
    "maglev",
    "ring-hash",
    "rendezvous",
    "first-available",
}

EXCEPTIONS = {
    "random": {"says_its_pick": False},
    "power-of-two": {"says_its_pick": False},
    "first-available": {"respects_weights": False, "spreads": False},
    "source-hash": {"moves_more": None},
    "maglev": {"moves_more": 0.05},
    "rendezvous": {"slowest_pick": 0.05},
}

VARIANTS = {
    "least-time": [{"inflight": True}, {"measure": "connect"}, {"measure": "last-byte"}, {"resolution": 0}],
    "power-of-two": [{"load": "peak-ewma"}],
    "maglev": [{"bound": 125}],
    "ring-hash": [{"bound": 150}],
    "rendezvous": [{"bound": 200}],
    "source-hash": [{"bound": 125}],
}


class TestRegistry(SynchronousTestCase):
    """What `strategies()` finds."""

    def test_all_built_in_ones(self) -> None:
        """The eleven of the contract are there, by the same door as a third party's."""
        self.assertLessEqual(BUILT_IN, set(strategies().names()))

    def test_options_are_explained(self) -> None:
        """Each option of a built-in strategy has a help line, and no strategy needs one to be given."""
        for name in BUILT_IN:
            for option in options.describe(strategies().load(name)):
                self.assertTrue(option.help, f"{name}: {option.name}")
                self.assertIsNotNone(option.default, f"{name}: {option.name}")


def _cases() -> dict[str, type]:
    registry, cases = strategies(), {}
    for name in registry.names():
        try:
            cls = registry.load(name)
        except BrokenPlugin:
            continue
        for number, given in enumerate([{}, *VARIANTS.get(name, [])]):
            kit = StickyConformance if issubclass(cls, Hashing) else StrategyConformance
            promises = dict(EXCEPTIONS.get(name, {}))
            if given.get("bound"):
                kit, promises = StrategyConformance, {**promises, "respects_weights": True}
            title = "Test" + name.title().replace("-", "") + (str(number) if number else "")
            body = {"strategy": cls, "options": given, "__doc__": f"{name} {given or ''}", "__module__": __name__}
            cases[title] = type(title, (kit, SynchronousTestCase), {**body, **promises})
    return cases


globals().update(_cases())
