"""The clock that never jumps."""

from __future__ import annotations

import time

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txlb.clock import SteadyClock


class SteadyClockTests(SynchronousTestCase):
    """`SteadyClock`"""

    def test_is_a_clock(self) -> None:
        """It can stand wherever a reactor is asked for the time."""
        verifyObject(IReactorTime, SteadyClock(Clock()))

    def test_tells_monotonic_time(self) -> None:
        """Its seconds are those of the monotonic clock, whatever the reactor's time of day does."""
        reactor = Clock()
        clock = SteadyClock(reactor)
        reactor.advance(1e9)
        before = time.monotonic()
        told = clock.seconds()
        self.assertTrue(before <= told <= time.monotonic())

    def test_delays_are_the_reactors(self) -> None:
        """A delayed call comes from the reactor, with its arguments, and can be cancelled there."""
        reactor, calls = Clock(), []
        clock = SteadyClock(reactor)
        clock.callLater(1, lambda *a, **k: calls.append((a, k)), 2, three=3)
        cancelled = clock.callLater(1, calls.append, "never")
        self.assertEqual(set(clock.getDelayedCalls()), set(reactor.getDelayedCalls()))
        cancelled.cancel()
        reactor.advance(1)
        self.assertEqual(calls, [((2,), {"three": 3})])
