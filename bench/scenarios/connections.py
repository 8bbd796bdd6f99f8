"""What a request costs as open connections grow, always 10 in flight.

Twice: on 10 of the connections, the others idle beside them; and going round all of them in turn, where each request
finds its connection's memory cold in the processor's caches.
"""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running, Size
from bench.scenarios.cost import spent


@frozen
class Connections(Base):
    """See the module."""

    def points(self, size: Size) -> tuple[int | None, ...]:
        """From 10 up to as many as the open-file limit leaves room for."""
        return (10, size.connections) if size.quick else (10, 1000, size.connections)

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs per request with `point` connections open."""
        seconds, count = running.size.seconds, point or 10
        beside, few = spent(running, "closed", connections=10, idle=count - 10, inflight=10, seconds=seconds, limit=60)
        around, all_of_them = spent(running, "closed", connections=count, inflight=10, seconds=seconds, limit=60)
        return {"beside": beside / few.done * 1e6, "around": around / all_of_them.done * 1e6}


SCENARIO = Connections(
    "connections",
    "a request's cost as open connections grow",
    (
        Metric("beside", "request on 10 of the open connections", "µs"),
        Metric("around", "request on all open connections in turn", "µs"),
    ),
    rounds=3,
)
