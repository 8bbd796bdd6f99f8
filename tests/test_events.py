"""The event bus."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txlb.events import BackendDown, BackendUp, EventBus

UP, DOWN = BackendUp("web", "a", "ok"), BackendDown("web", "a", "refused")


class EventBusTests(SynchronousTestCase):
    """`EventBus`"""

    def setUp(self) -> None:
        self.bus = EventBus()
        self.seen: list[object] = []

    def test_hands_events_to_those_who_asked(self) -> None:
        """By class, in the order of subscription."""
        self.bus.subscribe(BackendUp, lambda event: self.seen.append(("first", event)))
        self.bus.subscribe(BackendUp, lambda event: self.seen.append(("second", event)))
        self.bus.publish(UP)
        self.bus.publish(DOWN)
        self.assertEqual(self.seen, [("first", UP), ("second", UP)])

    def test_wants(self) -> None:
        """A hot path can ask before it makes an event that nobody hears."""
        self.assertFalse(self.bus.wants(BackendUp))
        end = self.bus.subscribe(BackendUp, self.seen.append)
        self.assertTrue(self.bus.wants(BackendUp))
        self.assertFalse(self.bus.wants(BackendDown))
        end()
        self.assertFalse(self.bus.wants(BackendUp))

    def test_ended_subscriptions_hear_nothing(self) -> None:
        """Also when one ends itself while an event is handed round: the others still get it."""

        def once(event: object) -> None:
            self.seen.append("once")
            end()

        end = self.bus.subscribe(BackendUp, once)
        self.bus.subscribe(BackendUp, self.seen.append)
        self.bus.publish(UP)
        self.bus.publish(UP)
        self.assertEqual(self.seen, ["once", UP, UP])

    def test_ending_twice_is_harmless(self) -> None:
        """And ends no other subscription, even of the same callback."""
        end = self.bus.subscribe(BackendUp, self.seen.append)
        self.bus.subscribe(BackendUp, self.seen.append)
        end()
        end()
        self.bus.publish(UP)
        self.assertEqual(self.seen, [UP])

    def test_a_subscriber_that_raises_disturbs_nobody(self) -> None:
        """It is logged with its traceback; the rest hear the event, and so does it the next time."""

        def raises(event: object) -> None:
            raise ZeroDivisionError(self.seen.append("raised"))

        self.bus.subscribe(BackendUp, raises)
        self.bus.subscribe(BackendUp, self.seen.append)
        self.bus.publish(UP)
        self.bus.publish(UP)
        self.assertEqual(self.seen, ["raised", UP, "raised", UP])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
