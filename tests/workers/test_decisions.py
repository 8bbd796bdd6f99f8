"""One decides, the others follow: the parent's pools and those of two workers, with messages carried by hand."""

from __future__ import annotations

import json
import random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb import registry
from txlb.events import BackendEjected, EventBus
from txlb.model.limits import Gauge
from txlb.model.pool import Pool
from txlb.specs import BackendSpec, Config, HealthSpec, OutlierSpec, PoolSpec
from txlb.testing import FakeClient
from txlb.workers.decisions import Decisions
from txlb.workers.following import Follower

SPEC = PoolSpec(
    "echoes",
    tuple(BackendSpec(name, f"tcp:192.0.2.1:{port}") for port, name in enumerate(("blue", "green", "red"), 9001)),
    health=HealthSpec(rise=2, fall=3),
    outliers=OutlierSpec(failures=5, max_percent=50),
)


class FakeWorker:
    """A worker's pool and its follower."""

    def __init__(self, clock: Clock, parent: Decisions) -> None:
        self.pool = Pool(SPEC, registry.strategies(), clock, random.Random(1), EventBus())
        self.sent = 0
        self.parent = parent
        self.follower = Follower(lambda: {"echoes": self.pool}, self.send)
        self.follower.follow()

    def send(self, verdicts: list[tuple[str, str, bool, str]]) -> None:
        """To the parent, as it travels."""
        self.sent += 1
        self.parent.met(json.loads(json.dumps(verdicts)))

    def connection(self, backend: str, outcome: str) -> None:
        """One that reaches this backend and ends like that."""
        while True:
            lease = self.pool.acquire(FakeClient())
            assert lease is not None
            if lease.backend.name == backend:
                lease.release(outcome)
                return
            lease.release("local-error")

    def states(self) -> dict[str, str]:
        """Why each backend is offered or not."""
        return {name: backend.reason for name, backend in self.pool.backends.items()}


def take_over(pool: Pool, decided: dict[str, Any]) -> None:
    """As a worker that has just been started does."""
    pool.restore(decided[pool.name]["overrides"])
    pool.restore_verdicts(decided[pool.name]["verdicts"])


class DecisionsTests(SynchronousTestCase):
    """A parent and two workers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.bus = EventBus()
        self.workers: list[FakeWorker] = []
        self.parent = Decisions(
            self.clock, self.clock, random.Random(1), self.bus, lambda name, limit: Gauge(limit), self.tell
        )
        self.addCleanup(self.parent.stop)
        self.patch(self.parent.health, "sync", lambda pool: None)  # verdicts are the tests'
        self.parent.become(Config(pools={"echoes": SPEC}))
        self.workers += [FakeWorker(self.clock, self.parent) for _ in range(2)]
        self.pool = self.parent.pools["echoes"]

    def tell(self, pool: str, command: list[Any]) -> None:
        """To all workers, as it travels."""
        for worker in self.workers:
            worker.follower.obey(pool, json.loads(json.dumps(command)))

    def report(self) -> None:
        """All workers send what came together."""
        for worker in self.workers:
            worker.follower.report()

    def test_health(self) -> None:
        """The parent counts verdicts; workers hear of the transition and its reason, and of nothing in between."""
        self.pool.observe("blue", True, "connected")
        for _ in range(2):
            self.pool.observe("blue", False, "refused")
            self.assertEqual(self.workers[0].states()["blue"], "up: connected")
        self.pool.observe("blue", False, "refused")
        for worker in self.workers:
            self.assertEqual(worker.states()["blue"], "down: refused")
        for _ in range(2):
            self.pool.observe("blue", True, "connected again")
        self.assertEqual(self.workers[1].states()["blue"], "up: connected again")

    def test_failures_of_all_workers_add_up(self) -> None:
        """Three failures here and two there are five in a row: ejected everywhere, and published once."""
        ejections: list[BackendEjected] = []
        self.bus.subscribe(BackendEjected, ejections.append)
        for worker, times in zip(self.workers, (3, 2), strict=True):
            for _ in range(times):
                worker.connection("green", "refused")
        self.report()
        self.assertEqual([event.backend for event in ejections], ["green"])
        for worker in self.workers:
            self.assertIn("ejected: 5 failures in a row", worker.states()["green"])
        self.clock.advance(30)
        for worker in self.workers:
            self.assertEqual(worker.states()["green"], "not checked")

    def test_a_success_elsewhere_counts(self) -> None:
        """Four failures here, a success there, four failures here: not in a row, so no ejection."""
        for _ in range(4):
            self.workers[0].connection("green", "refused")
        self.report()
        self.workers[1].connection("green", "ok")
        self.report()
        self.assertEqual(self.pool.backends["green"].failures, 0)
        for _ in range(4):
            self.workers[0].connection("green", "refused")
        self.report()
        self.assertEqual(self.pool.backends["green"].outlier, "ok")

    def test_order_within_a_batch(self) -> None:
        """A success between failures is told between them."""
        for outcome in ["refused"] * 4 + ["ok"] + ["refused"] * 4:
            self.workers[0].connection("green", outcome)
        self.report()
        self.assertEqual((self.pool.backends["green"].outlier, self.pool.backends["green"].failures), ("ok", 4))

    def test_good_traffic_is_silent(self) -> None:
        """Without a failure nothing is sent, however many connections end well."""
        for _ in range(50):
            self.workers[0].connection("green", "ok")
        self.report()
        self.assertEqual(self.workers[0].sent, 0)

    def test_operators(self) -> None:
        """An operator's word changes the parent's pool and all workers'; a wrong one changes none."""
        self.parent.operate("echoes", "set_admin", "blue", "drain", "tester")
        self.parent.operate("echoes", "set_weight", "green", 7, "tester")
        self.parent.operate("echoes", "remove", "red", "tester")
        self.parent.operate("echoes", "add", BackendSpec("new", "tcp:192.0.2.9:80", weight=3), "tester")
        for pool in (self.pool, *(worker.pool for worker in self.workers)):
            self.assertEqual(sorted(pool.backends), ["blue", "green", "new"])
            self.assertEqual(pool.backends["blue"].admin, "drain")
            self.assertEqual(pool.backends["green"].effective_weight, 700)
            self.assertEqual(pool.backends["new"].spec.weight, 3)
        self.assertRaises(KeyError, self.parent.operate, "echoes", "remove", "nobody", "tester")
        self.assertRaises(KeyError, self.parent.operate, "none", "remove", "blue", "tester")
        self.assertRaises(ValueError, self.parent.operate, "echoes", "set_weight", "blue", 5000, "tester")

    def test_a_worker_that_comes_later(self) -> None:
        """It takes over all that was decided, and for as long as it still holds."""
        self.pool.observe("blue", False, "refused")
        self.parent.operate("echoes", "set_weight", "red", 4, "tester")
        for _ in range(5):
            self.workers[0].connection("green", "reset-by-backend")
        self.report()
        self.clock.advance(10)
        late = FakeWorker(self.clock, self.parent)
        take_over(late.pool, json.loads(json.dumps(self.parent.export())))
        self.assertEqual(late.states(), {name: b.reason for name, b in self.pool.backends.items()})
        self.assertEqual(late.pool.backends["red"].effective_weight, 400)
        self.assertIn("ejected", late.states()["green"])
        self.clock.advance(20)
        self.assertEqual(late.states()["green"], "not checked")

    def test_slow_start_is_taken_over(self) -> None:
        """A backend that recovered a while ago has the weight of now in a worker that comes later, not that of the
        beginning."""
        spec = PoolSpec("slow", (BackendSpec("a", "tcp:192.0.2.1:1"),), health=SPEC.health, slow_start=100.0)
        self.parent.become(Config(pools={"slow": spec}))
        pool = self.parent.pools["slow"]
        pool.observe("a", False, "refused")
        for _ in range(2):
            pool.observe("a", True, "connected")
        self.clock.pump([5.0] * 10)
        late = Pool(spec, registry.strategies(), self.clock, random.Random(1), EventBus())
        take_over(late, self.parent.export())
        self.assertEqual(late.backends["a"].effective_weight, 55)
        self.assertEqual(pool.backends["a"].effective_weight, 55)

    def test_pools_that_go(self) -> None:
        """Words about a pool that is not there any more, or not yet, are no error."""
        self.tell("none-such", ["decree", "blue", "down", "refused"])
        self.parent.met([("none-such", "blue", False, "refused"), ("echoes", "nobody", False, "refused")])
        self.assertEqual(self.workers[0].states()["blue"], "not checked")
