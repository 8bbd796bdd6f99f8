"""The clock that never jumps."""

from __future__ import annotations

import time
from collections.abc import Iterator

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txlb.clock import SLICE, SteadyClock, in_slices


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


class SlicesTests(SynchronousTestCase):
    """`in_slices`"""

    def steps(self, clock: Clock, done: list[int]) -> Iterator[None]:
        """Each step takes as long as a slice may, by the clock's own account."""
        for number in range(3):
            clock.rightNow += SLICE
            done.append(number)
            yield

    def test_reactor_has_its_turns(self) -> None:
        """Each slice ends when its time is over, and goes on in another turn; it fires with the last."""
        clock, done = Clock(), []
        running = in_slices(clock, self.steps(clock, done))
        self.assertNoResult(running)
        clock.callLater(0, done.append, -1)
        clock.advance(0)
        self.assertEqual(done, [0, 1, -1, 2])
        self.successResultOf(running)

    def test_short_work_is_done_at_once(self) -> None:
        """What fits into one slice needs no other turn."""
        self.successResultOf(in_slices(Clock(), iter([1, 2, 3])))

    def test_failure(self) -> None:
        """A step that raises fails the whole."""
        self.failureResultOf(in_slices(Clock(), (1 / number for number in (1, 0))), ZeroDivisionError)

    def test_cancelled(self) -> None:
        """What is cancelled does no more steps."""
        clock, done = Clock(), []
        running = in_slices(clock, self.steps(clock, done))
        running.cancel()
        self.failureResultOf(running, CancelledError)
        clock.advance(0)
        self.assertEqual(done, [0])
