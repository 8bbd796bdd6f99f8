"""What a request and a connection cost with several workers: the sum over all of a proxy's processes, on one core.

One core, so that the figures compare with those of one worker, and with the other scenarios': what is seen is what the
workers themselves add, counting in shared memory and telling each other, and not what two cores cost each other. The
clients are as many for each worker, since a process that has less to do at a time pays more for each thing it does.
"""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from bench.peers import Plan
from bench.scenarios import Base, Metric, Running, Size
from bench.scenarios.cost import spent

PEERS = ("haproxy", "nginx", "txlb-epoll")
KEPT, NEW = 32, 16  # clients for each worker


@frozen
class Workers(Base):
    """What these scenarios share: the points are numbers of workers."""

    def points(self, size: Size) -> tuple[int | None, ...]:
        """How many workers."""
        return (1, 2, 4)

    def plan(self, plan: Plan, point: int | None, folder: Path) -> Plan:
        """With so many workers."""
        return evolve(plan, workers=point or 1)


@frozen
class Cost(Workers):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs per request on a kept connection, and per connection."""
        seconds, workers = running.size.seconds, point or 1
        kept, requests = spent(running, "closed", connections=KEPT * workers, inflight=KEPT * workers, seconds=seconds)
        new, connections = spent(running, "fresh", inflight=NEW * workers, seconds=seconds)
        return {"kept": kept / requests.done * 1e6, "new": new / connections.done * 1e6}


SCENARIO = Cost(
    "workers-cost",
    "cost with several workers",
    (
        Metric("kept", "request on a kept connection, by workers", "µs"),
        Metric("new", "new connection, by workers", "µs"),
    ),
    among=PEERS,
    together=True,
    quick=False,
    rounds=3,
)
