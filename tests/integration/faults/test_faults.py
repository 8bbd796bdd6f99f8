"""Each row of the battery over each engine."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.integration.faults.battery import play
from tests.integration.faults.scenarios import TABLE, Scenario
from tests.integration.harness import Subject, Txlb


class Battery(TestCase):
    """One test a row; see `scenarios.TABLE`."""

    timeout = 60
    subject: ClassVar[Subject]

    def show(self, scenario: Scenario) -> Any:
        """Play it in a thread; every trouble at once."""
        d = deferToThread(play, self.subject, scenario)
        return d.addCallback(lambda seen: self.assertEqual([], seen.troubles, seen.words))


def _rows(subject: Subject) -> dict[str, Any]:
    def test_for(scenario: Scenario) -> Any:
        def test(self: Battery) -> Any:
            return self.show(scenario)

        test.__name__ = f"test_{scenario.name}"
        test.__doc__ = f"{scenario.fault} at {scenario.phase}, at the {scenario.side}: client {scenario.client}."
        return test

    return {"subject": subject, **{f"test_{row.name}": test_for(row) for row in TABLE}}


EpollBattery = type("EpollBattery", (Battery,), {"__module__": __name__, **_rows(Txlb("epoll"))})
ReactorBattery = type("ReactorBattery", (Battery,), {"__module__": __name__, **_rows(Txlb("reactor"))})
