"""The time a proxy adds to a request, at a rate that all of them hold.

The times of the requests are fixed beforehand (an open loop), and each answer is timed from the moment its request was
due, so that a stall counts for everything it delays. What the same schedule takes without a proxy in the same round is
subtracted, quantile by quantile.

Rounds last a second for each peer, and there are many: what disturbs the machine for a moment spoils one sample, which
the median over rounds leaves out. `direct-again` is the run without a proxy once more: what it seems to add is the noise.
"""

from __future__ import annotations

from attrs import frozen

from bench.scenarios import Base, Metric, Running

QUANTILES = ("p50", "p90", "p99", "p99.9")


@frozen
class Latency(Base):
    """See the module."""

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs at each quantile."""
        size = running.size
        with running.load("open", connections=64, rate=size.rate, seconds=size.open_loop) as load:
            answers = load.work()
        return {name: answers.latencies[name] for name in QUANTILES}


SCENARIO = Latency(
    "latency",
    "added latency at 2,000 requests a second",
    tuple(Metric(name, f"added latency, {name}", "µs") for name in QUANTILES),
    added=True,
    direct=True,
    slices=2,
)
