"""Who arrives when, and with how much work. Made once and shared, so that all strategies meet the same."""

from __future__ import annotations

import random
from array import array
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate

from attrs import frozen
from zope.interface import implementer

from txlb.errors import OptionError
from txlb.interfaces import IClient


@implementer(IClient)
@frozen
class SimClient:
    """Provides `txlb.interfaces.IClient`."""

    host: str
    port: int = 50000
    listener: str = "simulated"

    @property
    def address(self) -> None:
        """There is no socket to ask."""


@frozen
class Workload:
    """For each arrival: its time in seconds, the index of its client, and its work.

    Work is a number between 0 and 1 that servers turn into a time, or, where `recorded`, the time itself.
    """

    times: array[float]
    who: array[int]
    work: array[float]
    clients: tuple[SimClient, ...]
    recorded: bool = False

    @property
    def duration(self) -> float:
        """The time of the last arrival."""
        return self.times[-1] if self.times else 0.0


def synthetic(count: int, rate: float, pattern: str, clients: int, skew: float, seed: str) -> Workload:
    """`rate` arrivals a second in a `pattern` (`poisson`, `constant`, `bursts` or `bursts:SIZE`), from so many clients.

    With a `skew` above 0 the n-th client comes in proportion to 1 / n ** skew. Raises OptionError.
    """
    rng = random.Random(f"{seed}/arrivals")
    moments = _moments(pattern, rate, rng)
    times = array("d", (next(moments) for _ in range(count)))
    random_number = random.Random(f"{seed}/work").random
    work = array("d", (random_number() for _ in range(count)))
    who = _who(count, clients, skew, random.Random(f"{seed}/clients"))
    return Workload(times, who, work, tuple(SimClient(_host(number)) for number in range(clients)))


def _who(count: int, clients: int, skew: float, rng: random.Random) -> array[int]:
    draw = rng.random
    if not skew:
        return array("l", (int(draw() * clients) for _ in range(count)))
    cumulated = list(accumulate(1 / rank**skew for rank in range(1, clients + 1)))
    total = cumulated[-1]
    return array("l", (min(bisect(cumulated, draw() * total), clients - 1) for _ in range(count)))


def _moments(pattern: str, rate: float, rng: random.Random) -> Iterator[float]:
    kind, _, size = pattern.partition(":")
    if kind == "poisson" and not size:
        return _bursts(rate, 1, rng)
    if kind == "constant" and not size:
        return (number / rate for number in range(1, 1 << 62))
    if kind == "bursts" and (not size or (size.isascii() and size.isdigit() and 0 < int(size) <= 1_000_000)):
        return _bursts(rate, int(size or 100), rng)
    raise OptionError("--pattern", f"must be poisson, constant, bursts or bursts:SIZE, not {pattern!r}")


def _bursts(rate: float, size: int, rng: random.Random) -> Iterator[float]:
    now, gap = 0.0, rng.expovariate
    while True:
        now += gap(rate / size)
        for _ in range(size):
            yield now


def _host(number: int) -> str:
    """Addresses of 10.0.0.0/8, spread over it as real ones are."""
    spread = (number + 1) * 2654435761 % (1 << 24)
    return f"10.{spread >> 16}.{spread >> 8 & 255}.{spread & 255}"
