"""The scheduler and a real pool: what verdicts do to who gets clients."""

from __future__ import annotations

import random
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.health_checks.fakes import registry_of
from txlb import registry
from txlb.errors import CheckFailed
from txlb.events import BackendDown, BackendUp, EventBus
from txlb.health_checks import Scheduler
from txlb.model.pool import Pool
from txlb.specs import BackendSpec, HealthSpec, PoolSpec

SPEC = PoolSpec(
    "web",
    (BackendSpec("a", "tcp:a:1"), BackendSpec("b", "tcp:b:1")),
    health=HealthSpec("scripted", interval=1.0, rise=2, fall=3),
)


class WithPoolTests(SynchronousTestCase):
    """Backends a and b; the test says which of them is ill."""

    def setUp(self) -> None:
        self.ill: set[str] = set()
        self.clock, bus = Clock(), EventBus()
        self.events: list[Any] = []
        for kind in (BackendDown, BackendUp):
            bus.subscribe(kind, self.events.append)
        self.pool = Pool(SPEC, registry.strategies(), self.clock, random.Random(1), bus)
        asked: list[tuple[float, str]] = []
        self.scheduler = Scheduler(None, self.clock, random.Random(1), bus, registry_of(asked, self.answer))
        self.scheduler.sync(self.pool)

    def answer(self, connect: str) -> Deferred[str]:
        """An ill backend fails its check."""
        return fail(CheckFailed("status 503")) if connect[4] in self.ill else succeed("status 200")

    def run_for(self, seconds: float) -> None:
        """Advance in small steps."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def eligible(self) -> list[str]:
        """Who gets clients."""
        return [backend.name for backend in self.pool.backends.values() if backend.eligible]

    def test_first_verdict_decides(self) -> None:
        """Before the first probe both are in; one that is ill at the start is out after its first."""
        self.assertEqual(self.eligible(), ["a", "b"])
        self.ill = {"a"}
        self.run_for(1.1)
        self.assertEqual(self.eligible(), ["b"])

    def test_falls_and_rises(self) -> None:
        """Three bad verdicts take it out, two good ones bring it back; each change is told once, with its reason."""
        self.run_for(5.0)
        self.events.clear()
        self.ill = {"b"}
        self.run_for(1.5)
        self.assertEqual(self.eligible(), ["a", "b"])
        self.run_for(6.0)
        self.assertEqual(self.eligible(), ["a"])
        [down] = self.events
        self.assertEqual((type(down), down.backend), (BackendDown, "b"))
        self.assertIn("status 503", down.reason)
        self.ill = set()
        self.run_for(4.0)
        self.assertEqual(self.eligible(), ["a", "b"])
        self.assertEqual([type(event) for event in self.events], [BackendDown, BackendUp])

    def test_reload_keeps_verdicts(self) -> None:
        """A reload that adds a backend leaves what is known of the others, and the new one is checked soon."""
        self.ill = {"b", "c"}
        self.run_for(5.0)
        self.pool.reconcile(evolve(SPEC, backends=(*SPEC.backends, BackendSpec("c", "tcp:c:1"))))
        self.scheduler.sync(self.pool)
        self.clock.advance(0)
        self.assertEqual(self.eligible(), ["a", "c"])
        self.run_for(1.1)
        self.assertEqual(self.eligible(), ["a"])

    def test_removed_while_probed(self) -> None:
        """A backend that leaves takes its probes along."""
        self.pool.remove("b", "test")
        self.scheduler.sync(self.pool)
        self.run_for(3.0)
        self.assertEqual(self.eligible(), ["a"])
        self.scheduler.stop()
        self.pool.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
