"""Bytes in bulk from the backend to the client, over one connection or over many at once."""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running
from bench.scenarios.cost import spent


@frozen
class Bulk(Base):
    """`streams` connections share the same number of bytes."""

    streams: int = 1

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """Processor seconds per GB (10⁹ bytes)."""
        size = running.size.megabytes * 2**20 // self.streams
        used, answers = spent(running, "bulk", connections=self.streams, bytes=size, limit=60)
        return {"cpu": used / (answers.bytes / 1e9)}


SCENARIO = Bulk("bulk-one", "bulk, one connection", (Metric("cpu", "bulk, one connection", "s/GB"),))
