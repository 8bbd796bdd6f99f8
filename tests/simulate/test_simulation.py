"""Tests for `txlb.simulate.simulation`: what must hold whatever the strategy."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.simulate.plans import backends, plan, result, simulate
from txlb import registry
from txlb.errors import TxlbError
from txlb.interfaces import IBackend, IStrategy
from txlb.plugin import StrategyMaker
from txlb.simulate.balancer import SimBackend
from txlb.simulate.changes import Change
from txlb.simulate.server import Server
from txlb.simulate.service import DEFAULT, constant, exponential
from txlb.specs import BackendSpec


@implementer(IStrategy)
class Odd:
    """A strategy that is broken in the way that a test wants."""

    how = "raises"

    def rebuild(self, backends: tuple[Any, ...]) -> None:
        """Nothing to do."""

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        if self.how == "raises":
            raise KeyError("oops")
        return "nonsense"


class SimulationTests(SynchronousTestCase):
    """Any strategy under any plan."""

    def test_every_strategy_is_sound(self) -> None:
        """Nobody is lost, all that came is gone at the end, and the figures add up, for every installed strategy."""
        for name in registry.strategies().names():
            simulation = simulate(plan(5, 2000, balancers=2), name)
            self.assertEqual(sum(s.count for s in simulation.servers.values()), 2000, name)
            self.assertEqual({s.active for s in simulation.servers.values()}, {0}, name)

    def test_same_seed_same_bytes(self) -> None:
        """Two runs of one seed are equal to the byte; another seed is not."""
        for name in ("random", "least-time", "maglev"):
            texts = [json.dumps(result(plan(5, 2000, seed=seed), name).as_json()) for seed in ("1", "1", "2")]
            self.assertEqual(texts[0], texts[1])
            self.assertNotEqual(texts[0], texts[2])

    def test_same_work_for_all(self) -> None:
        """With a place for everybody each strategy shows the same response times: it met the same work."""
        found = [result(plan(5, 2000, rate=100.0, concurrency=0), name).response for name in ("random", "round-robin")]
        self.assertEqual(*found)

    def test_weights(self) -> None:
        """Round robin follows the weights of the configuration, and capacity grows with them."""
        specs = tuple(BackendSpec(name, f"tcp:{name}:1", weight) for name, weight in (("a", 30), ("b", 10)))
        made = plan(specs, 4000)
        self.assertEqual((made.places(30), made.places(10)), (12, 4))
        self.assertEqual([b.connections for b in result(made, "round-robin").backends], [3000, 1000])

    def test_weight_zero_and_backup(self) -> None:
        """Weight 0 gets nothing; a backup gets nothing until all others have left."""
        specs = (*backends(1), BackendSpec("zero", "tcp:z:1", 0), BackendSpec("spare", "tcp:s:1", backup=True))
        made = plan(specs, 1000, rate=100.0, changes=(Change(5.0, "b000", False),))
        counts = {b.name: b.connections for b in result(made, "round-robin").backends}
        self.assertEqual(counts["zero"], 0)
        self.assertApproximates(counts["spare"], 500, 100)
        self.assertEqual(sum(counts.values()), 1000)

    def test_leave_and_join(self) -> None:
        """Nobody goes to a backend that has left; one that joins gets its share from then on."""
        changes = (Change(10.0, "b000", False), Change(20.0, "new", True))
        found = {b.name: b for b in result(plan(3, 3000, rate=100.0, changes=changes), "round-robin").backends}
        self.assertApproximates(found["b000"].connections, 333, 60)
        self.assertApproximates(found["new"].connections, 333, 60)
        self.assertLess(found["b000"].starvation, 2.0)

    def test_keys_moved(self) -> None:
        """When one of ten leaves, hashing moves its clients and next to no other, and round robin nearly all."""
        changes = (Change(50.0, "b003", False),)
        made = plan(10, 20_000, rate=200.0, changes=changes)
        [hashed], [turned] = (result(made, name).changes for name in ("ring-hash", "round-robin"))
        self.assertEqual(hashed.moved, hashed.had_to)
        self.assertApproximates(hashed.had_to, 0.1, 0.05)
        self.assertGreater(turned.moved, 0.8)

    def test_affinity(self) -> None:
        """A hashing strategy sends a client where it was before, and rotation does not."""
        made = plan(10, 5000)
        self.assertEqual(result(made, "maglev").moved, 0.0)
        self.assertGreater(result(made, "round-robin").moved, 0.8)

    def test_maximum(self) -> None:
        """A backend at its maximum gets no more; where all are, clients are rejected."""
        specs = tuple(evolve(spec, max_connections=2) for spec in backends(2))
        found = result(plan(specs, 1000, rate=1000.0, service=constant(1.0)), "first-available")
        self.assertEqual({b.concurrency_max for b in found.backends}, {2})
        self.assertGreater(found.rejected, 900)
        self.assertEqual(found.served + found.rejected, 1000)

    def test_failing(self) -> None:
        """A refusal is tried elsewhere, as often as the pool allows; where all refuse the client is rejected."""
        failing = {"b000": evolve(DEFAULT, failing=1.0)}
        found = result(plan(3, 3000, services=failing), "round-robin")
        self.assertEqual((found.served, found.rejected), (3000, 0))
        self.assertApproximates(found.refused, 1000, 510)
        alone = result(plan(3, 100, service=evolve(DEFAULT, failing=1.0)), "round-robin")
        self.assertEqual((alone.served, alone.rejected, alone.refused), (0, 100, 300))
        once = result(plan(3, 100, service=evolve(DEFAULT, failing=1.0), retries=0), "round-robin")
        self.assertEqual(once.refused, 100)

    def test_chain(self) -> None:
        """The second strategy is asked where the first has no pick."""
        specs = tuple(evolve(spec, max_connections=50) for spec in backends(4))
        found = result(plan(specs, 3000), "maglev", "least-connections")
        self.assertEqual(found.served, 3000)

    def test_bad_strategy(self) -> None:
        """One that raises, or picks what was not offered, ends the simulation with its name and the place."""
        for how, words in (("raises", "KeyError: 'oops'"), ("nonsense", "which it was not offered")):
            maker = type("Maker", (StrategyMaker,), {"load": lambda self, how=how: type("Bad", (Odd,), {"how": how})})
            made = evolve(plan(2, 10), registry=registry.strategies([maker("odd", "tests:Odd", "broken")]))
            error = self.assertRaises(TxlbError, simulate, made, "odd")
            self.assertIn("odd failed at arrival 0: ", str(error))
            self.assertIn(words, str(error))

    def test_strategy_that_cannot_be_made(self) -> None:
        """A constructor that raises is told with the strategy's name."""

        class Unborn(Odd):
            def __init__(self) -> None:
                raise KeyError("oops")

        maker = type("Maker", (StrategyMaker,), {"load": lambda self: Unborn})
        made = evolve(plan(2, 10), registry=registry.strategies([maker("odd", "tests:Odd", "broken")]))
        self.assertIn("odd cannot be made: KeyError: 'oops'", str(self.assertRaises(TxlbError, simulate, made, "odd")))

    def test_everybody_leaves(self) -> None:
        """Without backends all are rejected, and those that were there finish."""
        changes = tuple(Change(5.0, f"b00{number}", False) for number in range(2))
        found = result(plan(2, 1000, rate=100.0, changes=changes), "least-connections")
        self.assertEqual(found.served + found.rejected, 1000)
        self.assertApproximates(found.rejected, 500, 80)

    def test_progress(self) -> None:
        """Progress is told now and then, and at the end."""
        from txlb.simulate.simulation import Simulation
        from txlb.specs import StrategySpec

        told: list[int] = []
        Simulation(plan(2, 12_000), (StrategySpec("random"),)).run(told.append)
        self.assertEqual(told, [5000, 10_000, 12_000])

    def test_backend_provides_the_interface(self) -> None:
        """Strategies see what they are promised; backends are ordered by name."""
        one, two = (SimBackend(Server(name, 1, exponential(1.0), 1, False), None) for name in "ab")
        verifyObject(IBackend, one)
        self.assertLess(one, two)
        self.assertEqual((one.weight, len({one, two})), (100, 2))
