"""What a request costs as open connections grow: always 10 in flight, going round all connections in turn."""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running, Size
from bench.scenarios.cost import spent


@frozen
class Connections(Base):
    """See the module."""

    def points(self, size: Size) -> tuple[int | None, ...]:
        """From 10 up to as many as the open-file limit leaves room for."""
        return (10, size.connections) if size.quick else (10, 100, 1000, size.connections)

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs per request with `point` connections open."""
        seconds = running.size.seconds
        used, answers = spent(running, "closed", connections=point, inflight=10, seconds=seconds, limit=60)
        return {"cpu": used / answers.done * 1e6}


SCENARIO = Connections(
    "connections",
    "a request's cost as open connections grow",
    (Metric("cpu", "request, with so many connections open", "µs"),),
)
