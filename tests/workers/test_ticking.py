"""How often a worker looks."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.workers.ticking import OFTEN, SELDOM, Ticking


class TickingTests(SynchronousTestCase):
    """On a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.looks = self.beats = 0
        self.busy = False
        self.ticking = Ticking(self.clock, self.beat, self.look)
        self.ticking.start()
        self.addCleanup(self.ticking.stop)

    def beat(self) -> None:
        """Count."""
        self.beats += 1

    def look(self) -> bool:
        """Count, and say whether somebody waits."""
        self.looks += 1
        return self.busy

    def pass_time(self, seconds: float) -> int:
        """How many looks there are in that time."""
        before = self.looks
        self.clock.pump([OFTEN / 4] * round(seconds / OFTEN * 4))
        return self.looks - before

    def test_idle(self) -> None:
        """With nobody waiting it wakes up seldom, and shows that it lives."""
        self.assertIn(self.pass_time(1.0), (8, 9, 10))  # every SELDOM seconds, on a clock that moves in steps
        self.assertEqual(self.beats, self.looks)

    def test_busy(self) -> None:
        """While somebody waits, often; and seldom again when that is over."""
        self.busy = True
        self.pass_time(SELDOM)
        self.assertGreaterEqual(self.pass_time(1.0), 0.8 / OFTEN)
        self.busy = False
        self.pass_time(OFTEN)
        self.assertLessEqual(self.pass_time(1.0), 1.0 // SELDOM + 1)

    def test_before_accepting(self) -> None:
        """The first client after a quiet time finds fresh figures; those right behind it cost no look of their own; and
        from then on it looks often, since somebody waits."""
        self.pass_time(SELDOM / 2)
        self.clock.advance(OFTEN)
        before = self.looks
        self.busy = True
        for _ in range(5):
            self.ticking.before_accepting()
        self.assertEqual(self.looks - before, 1)
        self.assertGreaterEqual(self.pass_time(OFTEN * 5), 4)
