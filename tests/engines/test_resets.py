"""`txlb.engines.resets`: a reset waits for what was sent before it."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.engines.resets import INTERVAL, ResetWatch, unacknowledged


class ResetWatchTests(SynchronousTestCase):
    """One timer for all who wait."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.watch = ResetWatch(self.clock, unacknowledged=lambda sock: self.left[sock])
        self.left: dict[int, int] = {}
        self.done: list[str] = []

    def wait(self, name: str, sock: int, left: int, linger: float = 5.0):
        self.left[sock] = left
        return self.watch.wait(sock, linger, lambda: self.done.append(name))

    def test_nothing_outstanding(self) -> None:
        """With nothing outstanding it is done at once and no timer is left."""
        self.wait("a", 1, 0)
        self.assertEqual(self.done, ["a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_acknowledged(self) -> None:
        """Each is done at the first look that finds nothing outstanding; the timer goes with the last one."""
        self.wait("a", 1, 700)
        self.wait("b", 2, 900)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, [])
        self.left[2] = 0
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, ["b"])
        self.left[1] = 0
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, ["b", "a"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_thousands_wait(self) -> None:
        """The more there are the rarer they are looked at, so that the looks leave most of the time to others."""
        for sock in range(2000):
            self.wait("", sock, 1)
        self.clock.advance(INTERVAL)
        (timer,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(timer.getTime() - self.clock.seconds(), 0.1)

    def test_linger(self) -> None:
        """What is never acknowledged is done after `linger`."""
        self.wait("a", 1, 1, linger=0.05)
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual(self.done, [])
        self.clock.pump([INTERVAL] * 3)
        self.assertEqual(self.done, ["a"])

    def test_zero_linger(self) -> None:
        """A linger of 0 does not wait."""
        self.wait("a", 1, 1, linger=0)
        self.assertEqual(self.done, ["a"])

    def test_unsent(self) -> None:
        """What waits in this process counts like what the kernel holds."""
        self.left[1] = 0
        unsent = [5]
        self.watch.wait(1, 5, lambda: self.done.append("a"), lambda: unsent[0])
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, [])
        unsent[0] = 0
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, ["a"])

    def test_cancel(self) -> None:
        """A cancelled wait is never done, its socket is not looked at again, and the timer goes."""
        wait = self.wait("a", 1, 1)
        wait.cancel()
        self.left.clear()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        wait.cancel()

    def test_done_waits_again(self) -> None:
        """`done` may start another wait, which gets a timer."""
        self.left[1] = 1
        self.watch.wait(1, 5, lambda: self.wait("later", 2, 1, linger=INTERVAL))
        self.left[1] = 0
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, [])
        self.clock.advance(INTERVAL)
        self.assertEqual(self.done, ["later"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """Stopping forgets those who wait."""
        self.wait("a", 1, 1)
        self.watch.stop()
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.done, [])

    def test_past_saving(self) -> None:
        """A descriptor that is not a socket any more has nothing outstanding."""
        self.assertEqual(unacknowledged(-1), 0)
