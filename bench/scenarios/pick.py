"""What a strategy's `pick` takes, in this process, at 10, 1,000 and 10,000 backends of four weights.

`pick` alone is timed over many clients while nothing changes. The cycle is what a connection costs: the pick, the
count that goes up, the count of an earlier connection that goes down again, and the strategy told of both where it
listens (IObservesLoad). A strategy that keeps a heap pays there and not in `pick`. Both include a loop's ~30 ns.
"""

from __future__ import annotations

import gc
import itertools
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, frozen
from twisted.internet.task import Clock
from zope.interface import implementer

from bench.scenarios import Base, Metric, Running, Size
from txlb.interfaces import IBackend, IObservesLoad
from txlb.registry import strategies

CLIENTS = 1024
MILLISECOND, LARGEST = 1_000_000, 65536
Batch = Callable[[int], object]


@implementer(IBackend)
@define(eq=False, slots=True)
class Backend:
    """As much of a backend as a strategy sees."""

    name: str
    weight: int
    active: int = 0
    up_since: float = 0.0

    def __lt__(self, other: Backend) -> bool:
        return self.name < other.name


@frozen
class Client:
    """As much of a client as a strategy sees."""

    host: str
    port: int = 40000
    listener: str = "bench"
    address: Any = None


@frozen
class Pick(Base):
    """See the module."""

    def points(self, size: Size) -> tuple[int | None, ...]:
        """How many backends."""
        return (10, 10000) if size.quick else (10, 1000, 10000)

    def entrants(self) -> list[str]:
        """Every strategy that is installed."""
        return strategies().names()

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """ns, alone and with the bookkeeping."""
        strategy = prepared(running.name, point or 10)
        clients = [Client(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}") for n in range(CLIENTS)]
        seconds = running.size.seconds / 5
        return {"pick": pick_ns(strategy, clients, seconds), "cycle": cycle_ns(strategy, clients, seconds)}


def prepared(name: str, count: int) -> Any:
    """That strategy over `count` backends, its table built to the end."""
    return built(name, some(count))


def some(count: int) -> tuple[Backend, ...]:
    """That many backends, of four weights."""
    return tuple(sorted(Backend(f"tcp:127.1.{n // 250}.{n % 250}:80", 100 * (1 + n % 4)) for n in range(count)))


def built(name: str, backends: tuple[Backend, ...]) -> Any:
    """That strategy over these, its table built to the end."""
    strategy = strategies().build(name, {}, clock=Clock(), rng=random.Random(1))
    for _ in strategy.rebuild(backends) or ():
        pass
    return strategy


def pick_ns(strategy: Any, clients: list[Client], seconds: float) -> float:
    """ns for one pick; the load stays as it is."""
    pick = strategy.pick

    def batch(count: int) -> None:
        for client in itertools.islice(itertools.cycle(clients), count):
            pick(client)

    return timed(batch, seconds)


def cycle_ns(strategy: Any, clients: list[Client], seconds: float) -> float:
    """ns for one pick with its count going up, and a count going down; as many are open as there are clients."""
    pick = strategy.pick
    changed = strategy.changed if IObservesLoad.providedBy(strategy) else None
    opened: deque[Backend] = deque()

    def batch(count: int) -> None:
        for client in itertools.islice(itertools.cycle(clients), count):
            backend = pick(client)
            backend.active += 1
            opened.append(backend)
            closed = opened.popleft() if len(opened) > CLIENTS else None
            if closed is not None:
                closed.active -= 1
            if changed is not None:
                changed(backend)
                if closed is not None:
                    changed(closed)

    return timed(batch, seconds)


def timed(batch: Batch, seconds: float, clock: Callable[[], int] = time.thread_time_ns) -> float:
    """ns per unit in the best of the batches that fit into `seconds` of processor time, the collector kept out.

    Batches grow until one takes a millisecond, so that reading the clock costs nothing beside it.
    """
    gc.collect()
    gc.disable()
    try:
        count, best, end = 1, 0.0, clock() + seconds * 1e9
        while True:
            start = clock()
            batch(count)
            took = clock() - start
            if took < MILLISECOND and count < LARGEST:
                count *= 2
                continue
            best = min(best or took / count, took / count)
            if clock() >= end:
                return best
    finally:
        gc.enable()


SCENARIO = Pick(
    "pick",
    "a strategy's pick",
    (Metric("pick", "pick", "ns"), Metric("cycle", "cycle", "ns")),
    rounds=3,
)
