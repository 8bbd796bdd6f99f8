"""What a new connection costs as the pool grows."""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running, Size
from bench.scenarios.cost import spent


@frozen
class Backends(Base):
    """See the module."""

    def backends(self, point: int | None) -> int:
        """As many as the point says."""
        return point or 2

    def points(self, size: Size) -> tuple[int | None, ...]:
        """From 2 to 10,000."""
        return (2, 1000) if size.quick else (2, 100, 1000, 10000)

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs per connection."""
        used, answers = spent(running, "fresh", inflight=32, seconds=running.size.seconds)
        return {"cpu": used / answers.done * 1e6}


SCENARIO = Backends(
    "backends",
    "a new connection's cost as the pool grows",
    (Metric("cpu", "new connection, by number of backends", "µs"),),
    rounds=3,
)
