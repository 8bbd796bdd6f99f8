"""The loop: arrivals in their order, departures from a heap, changes in between."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from heapq import heappop, heappush
from math import gcd, inf
from typing import Any

from attrs import define, field, frozen
from twisted.internet.task import Clock

from txlb.errors import TxlbError
from txlb.interfaces import Outcome
from txlb.registry import Registry
from txlb.simulate.balancer import Balancer, SimBackend
from txlb.simulate.changes import Change, present_at_first
from txlb.simulate.server import Server
from txlb.simulate.service import Service
from txlb.simulate.workload import Workload
from txlb.specs import BackendSpec, PoolSpec, StrategySpec

SAMPLES = 100
"""Moments at which connections are looked at for the picture."""

PROGRESS_EVERY = 5000
"""Arrivals between two calls of `progress`."""

NOBODY: frozenset[SimBackend] = frozenset()


@frozen
class Plan:
    """All that a run is made from. `concurrency` is the places of a backend of the least weight; 0: without end."""

    pool: PoolSpec
    workload: Workload
    registry: Registry
    service: Service
    services: dict[str, Service] = field(factory=dict)
    concurrency: int = 4
    balancers: int = 1
    changes: tuple[Change, ...] = ()
    seed: str = "1"

    @property
    def specs(self) -> tuple[BackendSpec, ...]:
        """The pool's backends, and those that join from outside."""
        known = {backend.name for backend in self.pool.backends}
        new = sorted({change.name for change in self.changes} - known)
        return (*self.pool.backends, *(BackendSpec(name, f"simulated:{name}") for name in new))

    def places(self, weight: int) -> int:
        """A backend of twice the weight is taken to be twice as large."""
        return self.concurrency * weight // (gcd(*(spec.weight for spec in self.specs)) or 1)

    def capacity(self) -> float:
        """Connections a second that the backends of the beginning can serve together."""
        total = 0.0
        for spec in self.specs:
            if present_at_first(spec.name, self.changes) and spec.weight and not spec.backup:
                service = self.services.get(spec.name, self.service)
                total += self.places(spec.weight) / (service.mean * service.slow)
        return total


@frozen
class Sample:
    """Connections of the idlest, the average and the busiest offered server at a moment."""

    at: float
    least: int
    mean: float
    most: int


@frozen
class Epoch:
    """A change, and of the clients that came before and after it: how many there were, went elsewhere, and had to."""

    change: Change
    clients: int
    moved: int
    had_to: int


@define
class Simulation:
    """One strategy (or chain) under one plan. After `run` it holds what was seen."""

    plan: Plan
    strategy: tuple[StrategySpec, ...]
    servers: dict[str, Server] = field(init=False)
    rejected: int = 0
    repeats: int = 0
    elsewhere: int = 0
    duration: float = 0.0
    samples: list[Sample] = field(factory=list)
    epochs: list[Epoch] = field(factory=list)
    _clock: Clock = field(factory=Clock)
    _departures: list[tuple[float, int, Balancer, SimBackend, float]] = field(factory=list)
    _balancers: list[Balancer] = field(init=False)
    _present: set[str] = field(init=False)
    _offered: frozenset[str] = frozenset()
    _last: list[str | None] = field(init=False)
    _before: list[str | None] = field(factory=list)
    _luck: Callable[[], float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan, specs = self.plan, self.plan.specs
        self.servers = {spec.name: self._server(spec) for spec in specs}
        self._luck = random.Random(f"{plan.seed}/failures").random
        self._present = {spec.name for spec in specs if present_at_first(spec.name, plan.changes)}
        self._last = [None] * len(plan.workload.clients)
        try:
            self._balancers = [self._balancer(number) for number in range(plan.balancers)]
        except TxlbError:
            raise
        except Exception as error:  # whatever a third party's constructor does
            raise TxlbError(f"{self._names()} cannot be made: {type(error).__name__}: {error}") from error

    def run(self, progress: Callable[[int], object] = lambda arrivals: None) -> None:
        """Play it to the last departure. Raises TxlbError where the strategy fails; `progress` is told now and then."""
        arrival = 0
        try:
            self._offer(0)
            for arrival in self._arrivals():
                if arrival % PROGRESS_EVERY == 0:
                    progress(arrival)
            self._pass_time(inf)
        except Exception as error:
            raise TxlbError(f"{self._names()} failed at arrival {arrival}: {type(error).__name__}: {error}") from error
        progress(arrival)
        self._finish(arrival)

    def _names(self) -> str:
        return ", ".join(spec.name for spec in self.strategy)

    def _balancer(self, number: int) -> Balancer:
        rng = random.Random(f"{self.plan.seed}/strategy/{number}")
        seen = [SimBackend(self.servers[spec.name], spec.max_connections) for spec in self.plan.specs]
        return Balancer(self.strategy, self.plan.registry, self._clock, rng, seen)

    def _server(self, spec: BackendSpec) -> Server:
        plan = self.plan
        service = plan.services.get(spec.name, plan.service)
        return Server(spec.name, spec.weight, service, plan.places(spec.weight), plan.workload.recorded)

    def _arrivals(self) -> Any:
        """Plays arrival after arrival; yields its number."""
        workload, departures, clock = self.plan.workload, self._departures, self._clock
        clients, balancers = workload.clients, self._balancers
        which = random.Random(f"{self.plan.seed}/balancers").random
        changes = [*self.plan.changes][::-1]
        step = workload.duration / SAMPLES
        next_sample = step
        arrivals = zip(workload.times, workload.who, workload.work, strict=True)
        for arrival, (now, who, work) in enumerate(arrivals, 1):
            while changes and changes[-1].at <= now:
                change = changes.pop()
                self._pass_time(change.at)
                self._change(change, arrival)
            if departures and departures[0][0] <= now:
                self._pass_time(now)
            clock.rightNow = now
            if clock.calls:
                clock.advance(0)
            balancer = balancers[int(which() * len(balancers))] if len(balancers) > 1 else balancers[0]
            self._arrive(balancer, clients[who], who, now, work, arrival)
            if now >= next_sample:
                self._sample(now)
                next_sample = now + step
            yield arrival

    def _arrive(self, balancer: Balancer, client: Any, who: int, now: float, work: float, arrival: int) -> None:
        tried = NOBODY
        for _ in range(1 + self.plan.pool.retries):
            backend = balancer.acquire(client, tried)
            if backend is None:
                break
            server = backend.server
            if server.failing and self._luck() < server.failing:
                server.refused += 1
                balancer.release(backend, Outcome.REFUSED)
                tried = tried | {backend}
                continue
            done = server.admit(now, work, arrival)
            balancer.connected(backend)
            heappush(self._departures, (done, arrival, balancer, backend, done - now))
            last, self._last[who] = self._last[who], server.name
            if last is not None:
                self.repeats += 1
                self.elsewhere += last != server.name
            return
        self.rejected += 1

    def _pass_time(self, until: float) -> None:
        """Let everything end that is due by then."""
        departures, clock = self._departures, self._clock
        while departures and departures[0][0] <= until:
            done, _, balancer, backend, seconds = heappop(departures)
            clock.rightNow = done
            if clock.calls:
                clock.advance(0)
            backend.server.active -= 1
            balancer.answered(backend, seconds)

    def _change(self, change: Change, arrival: int) -> None:
        self._clock.rightNow = change.at
        self._close_epoch()
        (self._present.add if change.joins else self._present.discard)(change.name)
        self.epochs.append(Epoch(change, 0, 0, 0))
        self._before, self._last = self._last, [None] * len(self._last)
        for balancer in self._balancers:
            balancer.backends[change.name].up_since = change.at
        self._offer(arrival)

    def _close_epoch(self) -> None:
        if self.epochs:
            both = [(a, b) for a, b in zip(self._before, self._last, strict=True) if a is not None and b is not None]
            moved = sum(a != b for a, b in both)
            had_to = sum(a not in self._present for a, b in both)
            self.epochs[-1] = Epoch(self.epochs[-1].change, len(both), moved, had_to)

    def _offer(self, arrival: int) -> None:
        """Backups are offered where nobody else is there, as the pool does."""
        now = self._clock.seconds()
        here = [spec for spec in self.plan.specs if spec.name in self._present and spec.weight]
        offered = {spec.name for spec in here if not spec.backup} or {spec.name for spec in here}
        self._offered = frozenset(offered)
        for server in self.servers.values():
            server.offer(now, arrival, server.name in offered)
        for balancer in self._balancers:
            balancer.offer(offered)

    def _sample(self, now: float) -> None:
        active = [self.servers[name].active for name in self._offered]
        if active:
            self.samples.append(Sample(now, min(active), sum(active) / len(active), max(active)))

    def _finish(self, arrival: int) -> None:
        self._close_epoch()
        self.duration = max(self.plan.workload.duration, self._clock.seconds())
        for server in self.servers.values():
            server.offer(self.plan.workload.duration, arrival, False)

    def responses(self) -> array[float]:
        """Of all servers, sorted."""
        return array("d", sorted(second for server in self.servers.values() for second in server.responses))
