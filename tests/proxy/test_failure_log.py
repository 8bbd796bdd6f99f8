"""The log of failed connections under a flood."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txlb.events import ConnectionClosed
from txlb.proxy.failure_log import LINES_PER_SECOND, FailureLog

EVENT = ConnectionClosed(
    "web", "pool", "", "", "192.0.2.7", 5, "refused", "nobody there", 3, 0, 0, 0.0, None, None, 0.1
)  # fmt: skip


class Lines(SynchronousTestCase):
    """What is written."""

    def setUp(self) -> None:
        self.lines: list[str] = []

        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "txlb.proxy.failure_log":
                self.lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.clock = Clock()
        self.log = FailureLog(self.clock)

    def test_one_line(self) -> None:
        """It names the listener, the client, the backend, the outcome, the reason and the tries."""
        self.log.write(EVENT)
        expected = "web: 192.0.2.7:5 to no backend of pool: refused (nobody there), 3 tried, 0 bytes in, 0 out"
        self.assertEqual(self.lines, [expected])

    def test_flood(self) -> None:
        """A second has ten lines at most, then the number of those left out; the next second begins anew."""
        for _ in range(25):
            self.log.write(EVENT)
        self.assertEqual(len(self.lines), LINES_PER_SECOND)
        self.clock.advance(1)
        self.assertEqual(self.lines[LINES_PER_SECOND:], ["15 more connections failed in that second"])
        self.log.write(EVENT)
        self.assertEqual(len(self.lines), LINES_PER_SECOND + 2)
        self.log.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
