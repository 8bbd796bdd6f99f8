"""Reloads, operators and other processes: what lasts, and for how long."""

from __future__ import annotations

import json

from attrs import asdict
from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import spec, specs, world
from txlb.events import BackendChanged, BackendEjected
from txlb.model.limits import Gauge
from txlb.specs import BackendSpec, HealthSpec, OutlierSpec


class ReconcileTests(SynchronousTestCase):
    """The one door for reloads and discovery."""

    def test_survivors_keep_their_state(self):
        """The same object, with its counts, its health and its ejections; the newcomer starts afresh."""
        w = world("a", "b", health=HealthSpec(fall=1))
        w.take(2)
        w.pool.observe("a", False, "x")
        before = w.backend("a")
        w.pool.reconcile(spec("a", "c", health=HealthSpec(fall=1)))
        self.assertEqual(list(w.pool.backends), ["a", "c"])
        self.assertIs(w.backend("a"), before)
        self.assertEqual((before.active, before.health, before.reason), (1, "down", "down: x"))
        self.assertEqual(w.backend("c").total, 0)

    def test_same_again(self):
        """The same spec a second time does nothing at all."""
        w = world("a", "b")
        w.pool.reconcile(spec("a", "b"))
        self.assertEqual((w.clock.getDelayedCalls(), len(w.strategy().rebuilds)), ([], 1))

    def test_new_weight_and_limit(self):
        """What the file says of a backend is what holds."""
        w = world("a", "b")
        w.pool.reconcile(spec(BackendSpec("a", "tcp:a:80", weight=3, max_connections=7), "b"))
        w.turn()
        self.assertEqual(w.strategy().rebuilds[-1], [("a", 300), ("b", 100)])
        self.assertEqual((w.backend("a").limit, w.backend("a").gauge.limit), (7, 7))

    def test_removed_one_runs_to_its_end(self):
        """It takes nothing new, its lease goes on and is released cleanly."""
        w = world("a", "b")
        first, second = w.take(2)
        w.pool.reconcile(spec("b"))
        self.assertEqual({lease.backend.name for lease in w.take(3)}, {"b"})
        self.assertEqual((first.backend.reason, first.backend.active), ("removed", 1))
        first.first_byte(0.1)
        first.release("ok", 1, 2, 3.0)
        self.assertEqual((first.backend.active, w.pool.open), (0, 4))
        w.pool.reconcile(spec("a", "b"))
        self.assertIsNot(w.backend("a"), first.backend)
        second.release("ok")

    def test_comes_back_meanwhile(self):
        """Back before its last connection ended, it is the same backend with its counts."""
        w = world("a")
        lease = w.pool.acquire(None)
        w.pool.reconcile(spec())
        w.pool.reconcile(spec("a"))
        self.assertIs(w.backend("a"), lease.backend)
        self.assertEqual(w.backend("a").active, 1)
        lease.release("ok")
        self.assertEqual((w.backend("a").active, w.backend("a").outcomes["ok"]), (0, 1))

    def test_forgotten_when_other_workers_are_done(self):
        """One that left is kept while other workers hold it, and no longer."""
        w = world("a")
        before = w.backend("a")
        w.pool.set_remote("a", 2)
        w.pool.reconcile(spec())
        w.pool.reconcile(spec("a"))
        self.assertIs(w.backend("a"), before)
        w.pool.reconcile(spec())
        w.pool.set_remote("a", 0)
        w.pool.reconcile(spec("a"))
        self.assertIsNot(w.backend("a"), before)

    def test_removed_while_ejected(self):
        """Its timer goes with it."""
        w = world("a", "b", "c", outliers=OutlierSpec(failures=1))
        w.pool.observe("a", False, "refused", passive=True)
        w.pool.reconcile(spec("b", "c", outliers=OutlierSpec(failures=1)))
        w.turn()
        self.assertEqual((w.clock.getDelayedCalls(), w.pool._roster.ejected), ([], 0))


class OverrideTests(SynchronousTestCase):
    """What operators said, beside the file."""

    def test_events(self):
        """Each change is published with who made it."""
        w = world("a", "b")
        w.pool.set_admin("a", "drain", "api")
        w.pool.set_weight("b", 3, "api")
        w.pool.add(BackendSpec("c", "tcp:c:1"), "cli")
        w.pool.remove("b", "cli")
        self.assertEqual(
            w.of(BackendChanged),
            [
                BackendChanged("p", "a", "admin", "drain", "api"),
                BackendChanged("p", "b", "weight", "3", "api"),
                BackendChanged("p", "c", "added", "tcp:c:1", "cli"),
                BackendChanged("p", "b", "removed", "", "cli"),
            ],
        )
        self.assertEqual(list(w.pool.backends), ["a", "c"])

    def test_mistakes(self):
        """Unknown names, states, weights and doubles raise and change nothing."""
        w = world("a")
        self.assertRaises(KeyError, w.pool.set_admin, "b", "drain", "x")
        self.assertRaises(KeyError, w.pool.set_weight, "b", 1, "x")
        self.assertRaises(KeyError, w.pool.remove, "b", "x")
        self.assertRaises(ValueError, w.pool.set_admin, "a", "asleep", "x")
        for weight in (-1, 1001, 1.5, True, "3"):
            self.assertRaises(ValueError, w.pool.set_weight, "a", weight, "x")
        self.assertRaises(ValueError, w.pool.add, BackendSpec("a", "tcp:z:1"), "x")
        self.assertRaises(ValueError, w.pool.add, BackendSpec("z", "tcp:z:1", weight=-1), "x")
        self.assertEqual((w.events, w.clock.getDelayedCalls()), ([], []))

    def test_survive_a_reload(self):
        """A reload that says nothing new of a backend leaves its override alone."""
        w = world("a", "b", "c")
        w.pool.set_admin("a", "drain", "x")
        w.pool.set_weight("b", 5, "x")
        w.pool.remove("c", "x")
        w.pool.add(BackendSpec("d", "tcp:d:1"), "x")
        w.pool.reconcile(spec("a", "b", "c", "e", retries=1))
        self.assertEqual(list(w.pool.backends), ["a", "b", "d", "e"])
        self.assertEqual((w.backend("a").admin, w.backend("b").weight), ("drain", 500))

    def test_the_file_speaks_last(self):
        """A new weight in the file, a new entry for a removed one, or a name for an added one settles the override."""
        w = world("a", "b", "c")
        w.pool.set_weight("b", 5, "x")
        w.pool.remove("c", "x")
        w.pool.add(BackendSpec("d", "tcp:d:1", weight=7), "x")
        w.pool.reconcile(spec("a", *specs("b", "c", weight=2), "d"))
        self.assertEqual(
            [(b.name, b.weight) for b in w.pool.backends.values()], [("a", 100), ("b", 200), ("c", 200), ("d", 100)]
        )

    def test_leaves_the_file(self):
        """Gone from the file and back again, a backend has no overrides."""
        w = world("a", "b")
        w.pool.set_admin("a", "maint", "x")
        w.pool.set_weight("a", 9, "x")
        w.pool.reconcile(spec("b"))
        w.pool.reconcile(spec("a", "b"))
        self.assertEqual((w.backend("a").admin, w.backend("a").weight), ("ready", 100))

    def test_handed_over(self):
        """Exported as JSON and restored in another pool of the same file, they give the same pool."""
        w, other = world("a", "b", "c"), world("a", "b", "c")
        w.pool.set_admin("a", "drain", "x")
        w.pool.set_weight("b", 5, "x")
        w.pool.remove("c", "x")
        w.pool.add(BackendSpec("d", "tcp:d:1"), "x")
        other.pool.restore(json.loads(json.dumps(w.pool.overrides())))
        self.assertEqual(other.pool.overrides(), w.pool.overrides())
        self.assertEqual(other.pool.snapshot(), w.pool.snapshot())

    def test_drained_one_comes_back(self):
        """Added again after its removal, a backend of the file is the file's again."""
        w = world("a", "b")
        w.pool.remove("a", "x")
        w.pool.add(specs("a")[0], "x")
        self.assertEqual(w.pool.overrides(), {"admin": {}, "weights": {}, "added": [], "removed": []})


class CommandTests(SynchronousTestCase):
    """One process decides, others follow."""

    def test_followers(self):
        """Commands of plain data bring a second pool into the same state."""
        w, other = world("a", "b", health=HealthSpec()), world("a", "b", health=HealthSpec())
        commands = [
            ["observe", "a", False, "refused"],
            ["set_weight", "b", 4, "api"],
            ["set_admin", "a", "drain", "api"],
            ["add", asdict(BackendSpec("c", "tcp:c:1")), "api"],
            ["eject", "c", 5.0, "failing"],
            ["set_remote", "b", 9],
            ["observe", "nobody", True, "late"],
            ["eject", "nobody", 1.0, "late"],
            ["end_ejection", "nobody", "late"],
            ["propose_ejection", "nobody", "late"],
        ]
        for command in commands:
            w.pool.apply(command)
            other.pool.apply(json.loads(json.dumps(command)))
        self.assertEqual(w.pool.snapshot(), other.pool.snapshot())
        shown = w.pool.snapshot()["backends"]
        self.assertEqual(
            [shown[name]["reason"] for name in "abc"], ["in drain by the operator", "not checked", "ejected: failing"]
        )
        w.pool.apply(["end_ejection", "c", "it passed"])
        self.assertEqual(w.backend("c").outlier, "ok")

    def test_unknown_command(self):
        """Nothing but the commands can be called."""
        w = world("a")
        self.assertRaises(ValueError, w.pool.apply, ["stop"])

    def test_delegated_ejection(self):
        """A worker asks; the one that decides ejects within its limits, and says so."""
        worker, parent = (world("a", "b", outliers=OutlierSpec(failures=2)) for _ in range(2))
        worker.pool.delegate_ejections(parent.pool.propose_ejection)
        parent.bus.subscribe(BackendEjected, lambda e: worker.pool.apply(["eject", e.backend, e.seconds, e.reason]))
        for name in "aabb":
            worker.pool.observe(name, False, "refused", passive=True)
        self.assertEqual([worker.backend(name).outlier.value for name in "ab"], ["ejected", "ok"])
        self.assertEqual(worker.backend("a").reason, parent.backend("a").reason)


class SpareTests(SynchronousTestCase):
    """A retry when all primaries were tried in vain."""

    def test_backup_saves_the_connection(self):
        """Before health checks know, a retry may go to the least loaded backup; a first try never does."""
        backups = (BackendSpec(name, f"tcp:{name}:1", backup=True, max_connections=2) for name in "yz")
        w = world("a", *backups)
        tried = frozenset({w.backend("a")})
        leases = [w.pool.acquire(None, tried) for _ in range(3)]
        self.assertEqual([lease.backend.name for lease in leases], ["y", "z", "y"])
        self.assertEqual({lease.backend.name for lease in w.take(4)}, {"a"})
        for lease in leases:
            lease.connected(0.1)
        self.assertEqual(w.pool.acquire(None, tried).backend.name, "z")
        self.assertIsNone(w.pool.acquire(None, tried))

    def test_filled_by_other_workers(self):
        """A backup whose shared gauge refuses is passed over, and nothing stays counted."""

        class Shared(Gauge):
            def __init__(self, name):
                super().__init__()
                self.name = name

            def take(self):
                return self.name != "y" and super().take()

        backups = (BackendSpec(name, f"tcp:{name}:1", backup=True) for name in "yz")
        w = world("a", *backups, make_gauge=lambda name, limit: Shared(name))
        tried = frozenset({w.backend("a")})
        self.assertEqual(w.pool.acquire(None, tried).backend.name, "z")
        self.assertIsNone(w.pool.acquire(None, tried | {w.backend("z")}))
        self.assertEqual((w.pool.open, w.pool.refusal), (1, "full"))
