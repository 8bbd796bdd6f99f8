"""A new connection for each request, closed by the backend after it: 32 at a time."""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running
from bench.scenarios.cost import spent


@frozen
class New(Base):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs per connection, its request and its end included."""
        used, answers = spent(running, "fresh", inflight=32, seconds=running.size.seconds)
        return {"cpu": used / answers.done * 1e6}


SCENARIO = New("new", "new connection, one request, close", (Metric("cpu", "new connection, request, close", "µs"),))
