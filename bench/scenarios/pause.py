"""The longest pause while very many idle connections are open: what a sweep over all of them would cost the others.

The same open loop as for latency, on 16 connections beside the idle ones; the slowest answer of all is the pause.
"""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running


@frozen
class Pause(Base):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """ms."""
        size = running.size
        idle = size.connections - 16
        with running.load("open", idle=idle, connections=16, rate=size.rate, seconds=size.open_loop, limit=60) as load:
            return {"max": load.work().latencies["max"] / 1000}


SCENARIO = Pause(
    "pause",
    "longest pause beside idle connections",
    (Metric("max", "longest pause beside idle connections", "ms"),),
    direct=True,
)
