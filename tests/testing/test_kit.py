"""The kit is worth something: each fault seen in the field fails the test that is there for it."""

from __future__ import annotations

import random
from collections.abc import Container
from typing import Any
from unittest import TestResult

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txlb.interfaces import IBackend, IClient, IExplains, IObservesLoad, IObservesTime, IStrategy
from txlb.strategies.least_connections import LeastConnections
from txlb.strategies.round_robin import RoundRobin
from txlb.testing import Ground, StickyConformance, StrategyConformance, fake_backends, fake_clients


@implementer(IStrategy)
@define(eq=False)
class _Base:
    """Offers what most of the faulty ones share."""

    backends: tuple = field(init=False, default=())

    def rebuild(self, backends: tuple) -> None:
        self.backends = backends

    def left(self, exclude: Container) -> list[Any]:
        return [backend for backend in self.backends if backend not in exclude]


class AlwaysFirst(_Base):
    """Leaves everybody else out."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        return next(iter(self.left(exclude)), None)


class Deaf(_Base):
    """Does not look at `exclude`."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        return self.backends[0] if self.backends else None


class Remembering(_Base):
    """Keeps whom it knew first."""

    def rebuild(self, backends: tuple) -> None:
        self.backends = self.backends or backends

    pick = AlwaysFirst.pick


class LastOfEquals(_Base):
    """Least connections by `<=`: ties always go to the last (gobetween's bug)."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        best = None
        for backend in self.left(exclude):
            if best is None or backend.active / backend.weight <= best.active / best.weight:
                best = backend
        return best


class Unweighted(_Base):
    """A draw that does not look at weights, from a source of its own."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        left = self.left(exclude)
        return random.SystemRandom().choice(left) if left else None


class ByIdentity(_Base):
    """Hashes what differs between nodes."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        left = self.left(exclude)
        return max(left, key=lambda backend: hash((client.host, id(backend))), default=None)


class Modulo(_Base):
    """Moves nearly everybody when one leaves."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        left = self.left(exclude)
        return left[sum(client.host.encode()) * 7919 % len(left)] if left else None


class Forgetful(LeastConnections):
    """Counts changes instead of reading what the load is."""

    def changed(self, backend: Any) -> None:
        index = self._ranking.index.get(backend)
        if index is not None:
            load, start, _ = self._ranking.get(index)
            self._ranking.put((load + 1 / self._weights[index], start, index))

    def scores(self, client: Any) -> list[tuple[Any, float, str]]:
        ranking = self._ranking
        return [(b, ranking.get(i)[0], "told") for b, i in ranking.index.items()]


@implementer(IObservesTime)
@define(eq=False)
class Latest(_Base):
    """The lowest time seen last, for ever; what fails has no time and looks fast."""

    clock: IReactorTime
    times: dict = field(init=False, factory=dict)

    def measured(self, backend: Any, what: str, seconds: float) -> None:
        self.times[backend] = seconds

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        return min(self.left(exclude), key=lambda b: (self.times.get(b, 0.0), b.active), default=None)


@implementer(IExplains)
class Meddling(RoundRobin):
    """Its explanation takes a turn."""

    def scores(self, client: Any) -> list[tuple[Any, float, str]]:
        self.pick(client)
        return super().scores(client)


@implementer(IObservesLoad)
class Claims(_Base):
    """Claims an interface and lacks its method."""

    pick = AlwaysFirst.pick


class Wading(_Base):
    """Copies and sorts everything for each pick."""

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        return min(self.left(exclude), key=lambda backend: (backend.active, backend.name), default=None)


def failing(strategy: type, test: str, kit: type = StrategyConformance) -> TestResult:
    """The result of one of the kit's tests on a strategy."""
    case = type("Case", (kit, SynchronousTestCase), {"strategy": strategy})
    result = TestResult()
    case(test).run(result)
    return result


class TestKit(SynchronousTestCase):
    """Faulty strategies and the tests that find them."""

    def assertFound(self, strategy: type, *tests: str, kit: type = StrategyConformance) -> None:
        """Each of these tests fails for it."""
        for test in tests:
            result = failing(strategy, test, kit)
            self.assertFalse(result.wasSuccessful(), f"{strategy.__name__} passed {test}")

    def test_finds_who_is_left_out(self) -> None:
        """Always the first, or always the last of equals."""
        self.assertFound(AlwaysFirst, "test_nobody_left_out", "test_weights")
        self.assertFound(LastOfEquals, "test_nobody_left_out")

    def test_finds_deafness(self) -> None:
        """An excluded one is picked."""
        self.assertFound(Deaf, "test_excluded", "test_nearly_all_excluded", "test_pool_of_one")

    def test_finds_old_sets(self) -> None:
        """Somebody is picked who is not offered any more."""
        self.assertFound(Remembering, "test_nothing_offered", "test_changing_set", "test_steps")

    def test_finds_missing_weights_and_chance(self) -> None:
        """Weights that have no effect, and randomness of its own."""
        self.assertFound(Unweighted, "test_weights", "test_deterministic")

    def test_finds_nodes_that_disagree(self) -> None:
        """A hash of something else than names."""
        self.assertFound(ByIdentity, "test_names_decide", kit=StickyConformance)

    def test_finds_clients_that_move(self) -> None:
        """A hash that moves more clients than it has to, or keeps none."""
        self.assertFound(Modulo, "test_few_move", kit=StickyConformance)
        self.assertFound(RoundRobin, "test_same_client_same_backend", kit=StickyConformance)

    def test_finds_wrong_counts(self) -> None:
        """Changes counted as one each."""
        self.assertFound(Forgetful, "test_counts")

    def test_finds_fast_failures(self) -> None:
        """A backend that refuses draws everybody; one that was slow is never tried again."""
        self.assertFound(Latest, "test_failing_is_not_fast", "test_slow_is_tried_again")

    def test_finds_explanations_with_effects(self) -> None:
        """`scores` changes what is picked next."""
        self.assertFound(Meddling, "test_explains")

    def test_finds_empty_claims(self) -> None:
        """An interface is declared, its method is not there."""
        self.assertFound(Claims, "test_interfaces")

    def test_finds_slow_picks(self) -> None:
        """A pick that looks at every backend."""
        self.assertFound(Wading, "test_scales")


class TestFakes(SynchronousTestCase):
    """The fakes are what a pool hands out."""

    def test_interfaces(self) -> None:
        """They provide IBackend and IClient."""
        verifyObject(IBackend, fake_backends(1)[0])
        verifyObject(IClient, fake_clients(1)[0])

    def test_weights_and_order(self) -> None:
        """Configured weights become effective ones, names are in order, clients differ."""
        backends = fake_backends(5, 1)
        self.assertEqual([backend.weight for backend in backends], [500, 100])
        self.assertEqual(sorted(backends), list(backends))
        self.assertEqual(len({client.host for client in fake_clients(1000)}), 1000)
        self.assertEqual(fake_clients(1)[0].address.host, "198.18.0.0")

    def test_ground_counts(self) -> None:
        """What is opened counts until it is closed."""
        ground = Ground(LeastConnections)
        ground.offer(fake_backends(1, 1))
        first, second = ground.open(), ground.open()
        self.assertIsNot(first, second)
        ground.close(first)
        self.assertEqual((first.active, second.active), (0, 1))
        self.assertIs(ground.open(), first)
