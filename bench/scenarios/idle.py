"""Resident memory of a connection that was used once and is now idle, in a proxy that just started.

What the first 64 connections bring into memory (code, pools, caches) is not counted; what the kernel holds for the
sockets is in no process's resident memory, and is the same for all.
"""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running


@frozen
class Idle(Base):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """KiB per connection, at rest and at the peak while they were opened."""
        assert running.process is not None
        count = running.size.connections - 64
        with running.load("hold", idle=64):
            before, _ = running.process.memory()
            with running.load("hold", idle=count, limit=60):
                resident, peak = running.process.memory()
        return {"resident": (resident - before) / count, "peak": (peak - before) / count}


SCENARIO = Idle(
    "idle",
    "resident memory per idle connection",
    (
        Metric("resident", "resident, per idle connection", "KiB"),
        Metric("peak", "peak, per idle connection", "KiB"),
    ),
    fresh=True,
    rounds=2,
)
