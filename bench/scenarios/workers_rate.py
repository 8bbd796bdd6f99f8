"""What passes in a second with several workers, on all cores, which the load and the backend need as well.

On two cores this shows little: the load and the backend take their part, and a proxy that is quicker leaves them more.
"""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Metric, Running
from bench.scenarios.cost import spent
from bench.scenarios.workers_cost import PEERS, Workers


@frozen
class Rate(Workers):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """Requests and connections a second, and the µs of all processes for each."""
        seconds = running.size.seconds * 0.7
        kept, requests = spent(running, "closed", connections=64, inflight=64, seconds=seconds)
        new, connections = spent(running, "fresh", inflight=64, seconds=seconds)
        return {
            "requests": requests.done / requests.seconds,
            "connections": connections.done / connections.seconds,
            "kept": kept / requests.done * 1e6,
            "new": new / connections.done * 1e6,
        }


SCENARIO = Rate(
    "workers-rate",
    "throughput with several workers",
    (
        Metric("requests", "requests on kept connections, all cores, by workers", "/s"),
        Metric("connections", "new connections, all cores, by workers", "/s"),
        Metric("kept", "request on a kept connection, all cores, by workers", "µs"),
        Metric("new", "new connection, all cores, by workers", "µs"),
    ),
    among=PEERS,
    pinned=False,
    together=True,
    quick=False,
    rounds=3,
)
