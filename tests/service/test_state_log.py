"""What is written of backends' states."""

from __future__ import annotations

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txlb.events import BackendDown, BackendEjected, BackendReturned, BackendUp, EventBus, Panic
from txlb.service.state_log import log_states


class StateLog(SynchronousTestCase):
    """`log_states`"""

    def test_lines(self) -> None:
        """A line each, with the pool, the backend and the reason."""
        lines: list[str] = []

        def observe(event: LogEvent) -> None:
            if event["log_namespace"] == "txlb.service.state_log":
                lines.append(f"{event['log_level'].name} {formatEvent(event)}")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        bus = EventBus()
        log_states(bus)
        bus.publish(BackendDown("web", "green", "status 503"))
        bus.publish(BackendUp("web", "green", "200 in 3 ms"))
        bus.publish(BackendEjected("web", "green", "5 in a row: refused", 30.0))
        bus.publish(BackendReturned("web", "green", "its time is over"))
        bus.publish(Panic("web", True, 1, 4))
        bus.publish(Panic("web", False, 3, 4))
        self.assertEqual(
            lines,
            [
                "warn web: green is down: status 503",
                "info web: green is up: 200 in 3 ms",
                "warn web: green is left out for 30s: 5 in a row: refused",
                "info web: green is back: its time is over",
                "warn web: 1 of 4 backends: so few are eligible that all are used",
                "warn web: 3 of 4 backends: enough are eligible again",
            ],
        )
