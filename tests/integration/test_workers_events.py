"""What several workers are said to have met, as operators hear of it."""

from __future__ import annotations

import json
import urllib.request

from tests.integration.crew import CrewCase


class TestRecentEvents(CrewCase):
    """The stream of events of a balancer with workers."""

    def test_from_the_start(self) -> None:
        """The first verdicts of the health checks are remembered, though they fall before the admin is served."""
        self.echoes("green", "blue")
        self.start(pool="    health: {check: tcp, interval: 1h}")
        where = f"http://127.0.0.1:{self.values['admin']}/api/v1/events?state=no&recent=10"
        up = set()
        with urllib.request.urlopen(where, timeout=10) as stream:
            while len(up) < 2:  # with nothing to come for an hour, what is not remembered is a timeout here
                line = stream.readline()
                if line.startswith(b"event: BackendUp"):
                    up.add(json.loads(stream.readline().removeprefix(b"data: "))["backend"])
        self.assertEqual(up, {"green", "blue"})
