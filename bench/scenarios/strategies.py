"""What strategies cost at 10,000 backends: the table of docs/strategies.md. Run only when it is named.

`pick` and `cycle` are those of the scenario `pick`. `full` is the mean of 200 picks one after the other in a pool of which
all but a hundred have just become full; `change` is what a backend that leaves costs, all steps together, and `step` the
longest of these, during which no traffic moves.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from attrs import frozen

from bench.scenarios import Base, Metric, Running, Size
from bench.scenarios.pick import CLIENTS, Backend, Client, built, cycle_ns, pick_ns, some
from txlb.interfaces import IObservesLoad
from txlb.registry import strategies

BACKENDS, LEFT, PICKS = 10_000, 100, 200


@frozen
class Strategies(Base):
    """See the module."""

    def points(self, size: Size) -> tuple[int | None, ...]:
        """How many backends."""
        return (BACKENDS,)

    def entrants(self) -> list[str]:
        """Every strategy that is installed."""
        return strategies().names()

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """µs for picks, ms for changes."""
        backends = some(point or BACKENDS)
        clients = [Client(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}") for n in range(CLIENTS)]
        strategy, seconds = built(running.name, backends), running.size.seconds / 5
        steps = leaving(strategy, backends)
        strategy = built(running.name, backends)
        pick, cycle = pick_ns(strategy, clients, seconds), cycle_ns(strategy, clients, seconds)
        full = crowded(built(running.name, backends), backends, clients[:PICKS])
        return {
            "pick": pick / 1e3,
            "cycle": cycle / 1e3,
            "full": full / 1e3,
            "change": sum(steps) / 1e6,
            "step": max(steps) / 1e6,
        }


def crowded(strategy: Any, backends: tuple[Backend, ...], clients: list[Client]) -> float:
    """ns for each of these picks when all backends but a hundred have just become full."""
    full = set(random.Random(3).sample(backends, len(backends) - LEFT))
    for backend in full:
        backend.active += 1
        if IObservesLoad.providedBy(strategy):
            strategy.changed(backend)
    start = time.thread_time_ns()
    for client in clients:
        strategy.pick(client, full)
    return (time.thread_time_ns() - start) / len(clients)


def leaving(strategy: Any, backends: tuple[Backend, ...]) -> list[int]:
    """ns of each step of the rebuild after one backend left; a strategy that builds in one go takes one step."""
    times: list[int] = []

    def timed(step: Callable[[], Any]) -> Any:
        start = time.thread_time_ns()
        result = step()
        times.append(time.thread_time_ns() - start)
        return result

    rest = backends[: len(backends) // 2] + backends[len(backends) // 2 + 1 :]
    steps = timed(lambda: strategy.rebuild(rest))
    if steps is not None:
        end = object()
        while timed(lambda: next(steps, end)) is not end:
            pass
    return times


SCENARIO = Strategies(
    "strategies",
    "what strategies cost at 10,000 backends",
    (
        Metric("pick", "pick", "µs"),
        Metric("cycle", "cycle", "µs"),
        Metric("full", "full", "µs"),
        Metric("change", "change", "ms"),
        Metric("step", "longest step", "ms"),
    ),
    quick=False,
    named=True,
    rounds=3,
)
