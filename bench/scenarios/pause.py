"""The longest pause while very many idle connections are open: what a sweep over all of them would cost the others.

The same open loop as for latency, on 16 connections beside the idle ones; the slowest answer of a second is the pause,
and the median over some seconds is taken, since one disturbance by the rest of the machine would be the longest of all.
"""

from __future__ import annotations

from statistics import median

from attrs import frozen

from bench.scenarios import Base, Metric, Running

BUSY, SECONDS = 16, 3


@frozen
class Pause(Base):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """ms."""
        size = running.size
        with running.load("hold", idle=size.connections - BUSY, limit=60):
            return {"max": median(_longest(running) for _ in range(1 if size.quick else SECONDS))}


def _longest(running: Running) -> float:
    size = running.size
    with running.load("open", connections=BUSY, rate=size.rate, seconds=size.open_loop) as load:
        return load.work().latencies["max"] / 1000


SCENARIO = Pause(
    "pause",
    "longest pause beside idle connections",
    (Metric("max", "longest pause in a second beside idle connections", "ms"),),
    direct=True,
    rounds=3,
)
