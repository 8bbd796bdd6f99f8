"""A request on a kept connection: 64 of them, one request in flight on each, as fast as the proxy takes them."""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running
from bench.scenarios.cost import spent


@frozen
class Kept(Base):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs per request."""
        used, answers = spent(running, "closed", connections=64, inflight=64, seconds=running.size.seconds)
        return {"cpu": used / answers.done * 1e6}


SCENARIO = Kept("kept", "request on a kept connection", (Metric("cpu", "request on a kept connection", "µs"),))
