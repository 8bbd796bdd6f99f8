"""Verdicts: active ones through rise and fall, passive ones through ejection, and the weight after a recovery."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.model.fakes import spec, specs, world
from txlb.events import BackendDown, BackendEjected, BackendReturned, BackendUp
from txlb.interfaces import Outcome
from txlb.model.health import HealthCounter
from txlb.model.states import HealthState
from txlb.specs import BackendSpec, HealthSpec, OutlierSpec

FAILING = ("refused", "connect-timeout", "reset-by-backend")


class CounterTests(SynchronousTestCase):
    """The pure counter."""

    def test_first_verdict_decides(self):
        """At start one verdict is enough, either way."""
        for ok, state in ((True, HealthState.UP), (False, HealthState.DOWN)):
            counter = HealthCounter()
            self.assertTrue(counter.observe(ok, 5, 5))
            self.assertIs(counter.state, state)

    def test_rise_and_fall(self):
        """Three failures in a row take it down, two passes bring it up; one in between starts the count anew."""
        counter = HealthCounter()
        counter.observe(True, 2, 3)
        flips = [counter.observe(ok == "+", 2, 3) for ok in "--+---" + "+-++"]
        self.assertEqual(flips, [False] * 5 + [True] + [False] * 3 + [True])

    @settings(max_examples=200, deadline=None, database=None)
    @given(verdicts=st.lists(st.booleans(), max_size=60), rise=st.integers(1, 4), fall=st.integers(1, 4))
    def test_as_the_last_verdicts_say(self, verdicts, rise, fall):
        """After any verdicts the state is that of a plain reading of the rule: so many alike at the end, or as before."""
        counter = HealthCounter()
        state = None
        for end in range(1, len(verdicts) + 1):
            verdict, before = verdicts[end - 1], state
            alike = verdicts[max(0, end - (rise if verdict else fall)) : end]
            if state is None or (len(alike) == (rise if verdict else fall) and set(alike) == {verdict}):
                state = verdict
            self.assertEqual(counter.observe(verdict, rise, fall), state is not before)
            self.assertIs(counter.state, HealthState.UP if state else HealthState.DOWN)

    def test_flapping_never_flips(self):
        """One that alternates stays what it was."""
        counter = HealthCounter()
        counter.observe(True, 2, 2)
        self.assertFalse(any(counter.observe(bool(turn % 2), 2, 2) for turn in range(100)))


class ActiveTests(SynchronousTestCase):
    """Verdicts that reach the pool."""

    def test_one_event_a_transition(self):
        """Down and up are published once each, with the reason, and shown."""
        w = world("a", "b", health=HealthSpec(rise=2, fall=3))
        for ok in (True, True, False, False, False, False, True, True, True):
            w.pool.observe("a", ok, "status 200" if ok else "status 503")
        self.assertEqual(
            w.events,
            [
                BackendUp("p", "a", "status 200"),
                BackendDown("p", "a", "status 503"),
                BackendUp("p", "a", "status 200"),
            ],
        )
        self.assertEqual(w.backend("a").reason, "up: status 200")

    def test_down_gets_nothing(self):
        """From the transition on, before the strategies were told, it is picked no more."""
        w = world("a", "b", health=HealthSpec(fall=1))
        w.pool.observe("a", False, "refused")
        self.assertEqual({lease.backend.name for lease in w.take(4)}, {"b"})
        self.assertEqual(w.pool.snapshot()["backends"]["a"]["reason"], "down: refused")

    def test_unknown_name(self):
        """A verdict on a backend that has left is ignored."""
        w = world("a")
        w.pool.observe("b", False, "x")
        self.assertEqual(w.events, [])

    def test_no_more_checks(self):
        """A reload that takes the checks away forgets what they said."""
        w = world("a", "b", health=HealthSpec())
        w.pool.observe("a", False, "x")
        w.pool.reconcile(spec("a", "b"))
        self.assertEqual((w.backend("a").health, w.backend("a").eligible), ("unknown", True))

    def test_another_address(self):
        """The verdict on the old address says nothing about the new one; counts stay."""
        w = world(*specs("a", "b"), health=HealthSpec())
        lease = w.pool.acquire(None)
        w.pool.observe(lease.backend.name, False, "x")
        moved = tuple(spec("a", "b").backends)
        moved = tuple(type(b)(b.name, "tcp:elsewhere:1") for b in moved)
        w.pool.reconcile(spec(*moved, health=HealthSpec()))
        self.assertEqual((lease.backend.health, lease.backend.active), ("unknown", 1))


class SlowStartTests(SynchronousTestCase):
    """Weight after a recovery."""

    def test_linear_from_a_tenth(self):
        """From 10 % to all of it in `slow_start` seconds, told to the strategies in steps."""
        w = world("a", "b", slow_start=10.0, health=HealthSpec(rise=1, fall=1))
        self.assertEqual(w.backend("a").weight, 100)
        w.pool.observe("a", False, "x")
        w.pool.observe("a", True, "x")
        self.assertEqual(w.backend("a").weight, 10)
        weights = []
        for _ in range(20):
            w.clock.advance(0.5)
            w.turn()
            weights.append(w.backend("a").weight)
        self.assertEqual((weights[9], weights[-1]), (55, 100))
        self.assertEqual(weights, sorted(weights))
        self.assertEqual(w.strategy().rebuilds[-1], [("a", 100), ("b", 100)])
        self.assertEqual(w.clock.getDelayedCalls(), [])

    def test_not_at_start(self):
        """The first verdict at start is no recovery."""
        w = world("a", slow_start=10.0, health=HealthSpec())
        w.pool.observe("a", True, "x")
        self.assertEqual(w.backend("a").weight, 100)


class EjectionTests(SynchronousTestCase):
    """What traffic shows."""

    def world(self, names="abcd", **fields):
        """A pool that ejects after three failures, for ten seconds at first."""
        return world(*names, outliers=OutlierSpec(failures=3, ejection=10.0, max_ejection=25.0, **fields))

    def fail(self, w, name, times=3, outcome="refused"):
        """So many connections in a row that end badly, on that backend."""
        others = frozenset(w.pool.backends.values()) - {w.backend(name)}
        for _ in range(times):
            w.pool.acquire(None, others).release(outcome)

    def test_three_in_a_row(self):
        """Each kind of failure counts; the third one ejects, and time brings it back."""
        for outcome in FAILING:
            w = self.world()
            self.fail(w, "a", 2, outcome)
            self.assertTrue(w.backend("a").eligible)
            self.fail(w, "a", 1, outcome)
            self.assertEqual((w.backend("a").outlier, w.backend("a").eligible), ("ejected", False))
            w.clock.advance(10)
            self.assertEqual((w.backend("a").outlier, w.backend("a").eligible), ("ok", True))
            self.assertEqual([type(event) for event in w.events], [BackendEjected, BackendReturned])

    def test_success_in_between(self):
        """A good connection, or a first byte, starts the count anew."""
        w = self.world("ab")
        self.fail(w, "a", 2)
        others = frozenset({w.backend("b")})
        w.pool.acquire(None, others).release("ok")
        self.fail(w, "a", 2)
        w.pool.acquire(None, others).first_byte(0.1)
        self.fail(w, "a", 2)
        self.assertTrue(w.backend("a").eligible)

    def test_what_never_counts(self):
        """Local trouble, the client's doings and every end after the first byte leave the state alone."""
        w = self.world("ab")
        others = frozenset({w.backend("b")})
        for outcome in (o for o in Outcome if o.value not in FAILING):
            self.fail(w, "a", 5, outcome)
        for outcome in FAILING:
            for _ in range(5):
                lease = w.pool.acquire(None, others)
                lease.connected(0.1)
                lease.first_byte(0.1)
                lease.release(outcome)
        self.assertEqual((w.events, w.backend("a").failures), ([], 0))

    def test_grows_and_is_capped(self):
        """In a row: 10, 20 and then 25 seconds."""
        w = self.world()
        for _ in range(4):
            self.fail(w, "a")
            w.clock.advance(25)
        self.assertEqual([event.seconds for event in w.of(BackendEjected)], [10, 20, 25, 25])

    def test_forgiven(self):
        """Each healthy ten seconds take one off."""
        w = self.world()
        self.fail(w, "a")
        w.clock.advance(10)
        self.fail(w, "a")
        w.clock.advance(20)
        w.clock.advance(20)
        self.fail(w, "a")
        self.assertEqual([event.seconds for event in w.of(BackendEjected)], [10, 20, 10])

    def test_at_most_half(self):
        """Half of the pool, and no more."""
        w = self.world()
        for name in "abcd":
            self.fail(w, name)
        self.assertEqual([event.backend for event in w.of(BackendEjected)], ["a", "b"])

    def test_never_the_last(self):
        """A lone backend is never ejected, whatever share is allowed."""
        w = self.world("a", max_percent=100)
        self.fail(w, "a", 20)
        self.assertEqual(w.events, [])
        w = self.world("ab", max_percent=100)
        self.fail(w, "a")
        self.fail(w, "b")
        self.assertEqual([event.backend for event in w.of(BackendEjected)], ["a"])

    def test_comes_back_when_needed(self):
        """When the others go, an ejected one is better than none."""
        w = self.world("ab")
        self.fail(w, "a")
        w.pool.set_admin("b", "drain", "test")
        self.assertEqual(w.pool.acquire(None).backend.name, "a")
        self.assertEqual(w.of(BackendReturned)[0].reason, "the pool needs it")

    def test_share_holds_after_a_reload(self):
        """When the pool shrinks, ejections beyond its half are ended."""
        w = self.world()
        self.fail(w, "a")
        self.fail(w, "b")
        w.pool.reconcile(spec("a", "b", "c", outliers=w.pool.spec.outliers))
        w.turn()
        self.assertEqual([w.backend(name).outlier.value for name in "abc"].count("ejected"), 1)

    def test_passing_check_ends_it(self):
        """A passing active check brings it back at once."""
        w = self.world()
        self.fail(w, "a")
        w.pool.observe("a", True, "connected")
        self.assertEqual(w.of(BackendReturned), [BackendReturned("p", "a", "passed its check: connected")])
        self.assertEqual(w.clock.getDelayedCalls()[1:], [])

    def test_off(self):
        """0 failures turn it off."""
        w = world("a", "b", outliers=OutlierSpec(failures=0))
        self.fail(w, "a", 50)
        self.assertTrue(w.backend("a").eligible)

    def test_other_workers_failures(self):
        """What another worker saw enters at `observe`."""
        w = self.world()
        for _ in range(3):
            w.pool.observe("a", False, "refused", passive=True)
        self.assertEqual(w.backend("a").reason, "ejected: 3 failures in a row, the last one refused")

    def test_share_holds_of_those_drained(self):
        """An ejection beyond the share is ended also where the backend could take nothing anyway."""
        w = self.world("ab")
        self.fail(w, "a")
        w.pool.set_admin("a", "maint", "test")
        w.pool.reconcile(spec("a", outliers=w.pool.spec.outliers))
        w.turn()
        self.assertEqual((w.backend("a").outlier, w.clock.getDelayedCalls()), ("ok", []))

    def test_another_address_is_not_ejected(self):
        """An ejection concerns the address that failed."""
        w = self.world("ab")
        self.fail(w, "a")
        moved = [BackendSpec(name, "tcp:elsewhere:1") for name in "ab"]
        w.pool.reconcile(spec(*moved, outliers=w.pool.spec.outliers))
        self.assertEqual((w.backend("a").outlier, w.backend("a").ejections), ("ok", 0))

    def test_verdicts_after_stop(self):
        """A probe that comes back after `stop` does no harm."""
        w = self.world()
        self.fail(w, "a")
        w.pool.stop()
        w.pool.observe("a", True, "late")
        self.assertEqual((w.backend("a").outlier, w.clock.getDelayedCalls()), ("ok", []))

    def test_down_is_no_news(self):
        """Failures of a backend that its checks took down are not counted; its connections may be reset for that."""
        w = world("a", "b", "c", health=HealthSpec(rise=1, fall=1), outliers=OutlierSpec(failures=3))
        leases = [lease for lease in w.take(12) if lease.backend.name == "a"]
        w.pool.observe("a", False, "status 503")
        for lease in leases:
            lease.release("reset-by-backend")
        self.assertEqual((len(leases), w.backend("a").failures), (4, 0))
        w.pool.observe("a", True, "status 200")
        self.assertEqual((w.backend("a").outlier, w.backend("a").eligible), ("ok", True))

    def test_recovery_forgives(self):
        """What failed before it was down does not count together with what fails after it is up again."""
        for how in ("observe", "decree"):
            w = world("a", "b", "c", health=HealthSpec(rise=1, fall=1), outliers=OutlierSpec(failures=3))
            leases = [lease for lease in w.take(9) if lease.backend.name == "a"]
            leases[0].release("refused")
            leases[1].release("refused")
            if how == "observe":
                w.pool.observe("a", False, "status 503")
                w.pool.observe("a", True, "status 200")
            else:
                w.pool._roster.decree(w.backend("a"), HealthState.DOWN, "status 503")
                w.pool._roster.decree(w.backend("a"), HealthState.UP, "status 200")
            leases[2].release("refused")
            self.assertEqual((w.backend("a").outlier, w.backend("a").failures), ("ok", 1))

    def test_no_timer_after_stop(self):
        """Leases that end after `stop` start nothing."""
        w = self.world()
        w.pool.stop()
        self.fail(w, "a")
        self.assertEqual(w.clock.getDelayedCalls(), [])
