"""Least time: the backend that is expected to be done first, `time * (1 + connections) / weight`.

Source: nginx 1.31's `least_time` (`ngx_stream_upstream_least_time_module.c`), whose formula, mean and halving these are.
As there, times are compared in steps (of `resolution`), so that close ones share the work in turn.

A backend without a time yet is tried at once when it is idle; while that first trial runs it counts as an average one,
so a newcomer, or one that never answers, is not herded on. Failures count as 5 seconds (see `timing`).
"""

from __future__ import annotations

from collections.abc import Container
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

from attrs import define, field, validators
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from txlb.interfaces import IExplains, IObservesLoad, IObservesOutcome, IObservesTime, IStrategy, Measure, Outcome
from txlb.strategies.ranking import Ranking
from txlb.strategies.timing import Timing
from txlb.strategies.turns import Turns
from txlb.units import Seconds

FAILURES = frozenset({Outcome.REFUSED, Outcome.CONNECT_TIMEOUT, Outcome.RESET_BY_BACKEND})
"""Outcomes that are the backend's fault."""

UNTRIED = -1.0
"""The score of an idle backend of which nothing is known: before all others."""

DUE_AT_ONCE = 64
"""Backends looked at again in one pick because time has passed."""


@implementer(IStrategy, IObservesLoad, IObservesTime, IObservesOutcome, IExplains)
@define(slots=False, eq=False)
class LeastTime:
    """A pick, a change of load and a measured time are O(log n)."""

    clock: IReactorTime
    measure: Measure = field(default=Measure.FIRST_BYTE, metadata={"help": "what is timed, from the start of the dial"})
    inflight: bool = field(
        default=False, metadata={"help": "count what is unanswered by the time it has waited so far"}
    )
    period: Seconds = field(
        default=Seconds(10.0),
        validator=validators.gt(Seconds(0.0)),
        metadata={"help": "in each period without use the remembered time halves, so that slow ones are tried again"},
    )
    resolution: Seconds = field(
        default=Seconds(0.001), metadata={"help": "times that differ by less are equal; 0s compares exactly"}
    )
    _timings: dict[Any, Timing] = field(init=False, factory=dict)
    _ranking: Ranking = field(init=False, factory=lambda: Ranking(()))
    _turns: Turns = field(init=False, factory=lambda: Turns((), {}))
    _weights: list[int] = field(init=False, factory=list)
    _due: list[tuple[float, int]] = field(init=False, factory=list)
    _next_due: list[float] = field(init=False, factory=list)
    _typical: float = field(init=False, default=0.0)

    def rebuild(self, backends: tuple) -> None:
        """Whoever stays keeps its times; who leaves and comes back is new."""
        now = self.clock.seconds()
        before = self._timings
        self._timings = {backend: before.get(backend) or Timing(now) for backend in backends}
        self._turns = Turns(backends, self._turns.ahead(self._ranking.backends))
        self._weights = [backend.weight for backend in backends]
        self._ranking = Ranking(backends)
        self._ranking.fill([self._entry(index, now) for index in range(len(backends))])
        self._next_due = [self._timings[backend].due(now, self.period) for backend in backends]
        self._due = list(zip(self._next_due, range(len(backends)), strict=True))
        heapify(self._due)

    def pick(self, client: object, exclude: Container = ()) -> Any:
        now = self.clock.seconds()
        if self._due and self._due[0][0] <= now:
            self._let_time_pass(now)
        best = self._ranking.best(exclude)
        if best is None:
            return None
        score, _, index = best
        backend = self._ranking.backends[index]
        self._timings[backend].picked(now, self.period, self.inflight)
        if self.inflight:
            self._look_again(index, now)
        self._ranking.replace_best((score, self._turns.take(index), index))
        return backend

    def changed(self, backend: Any) -> None:
        timing = self._timings.get(backend)
        if timing is not None:
            if self.inflight:
                timing.trim(backend.active)
            self._rank(backend)

    def measured(self, backend: Any, what: str, seconds: float) -> None:
        timing = self._timings.get(backend)
        if timing is not None and what == self.measure:
            timing.succeeded(self.clock.seconds(), self.period, seconds)
            self._typical = 0.05 * seconds + 0.95 * self._typical if self._typical else seconds
            self._rank(backend)

    def released(self, backend: Any, outcome: str) -> None:
        timing = self._timings.get(backend)
        if timing is not None and outcome in FAILURES:
            timing.failed(self.clock.seconds(), self.period)
            self._rank(backend)

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        now = self.clock.seconds()
        backends = self._ranking.backends
        ranked = sorted(self._entry(index, now) for index in range(len(backends)))
        return [(backends[index], score, self._why(index, now)) for score, _, index in ranked]

    def _why(self, index: int, now: float) -> str:
        backend = self._ranking.backends[index]
        time = self._timings[backend].time(now, self.period)
        known = "no time known yet" if time is None else f"{time * 1000:.3g} ms"
        return f"{known}, {backend.active} connections at weight {self._weights[index]}"

    def _rank(self, backend: Any) -> None:
        self._ranking.put(self._entry(self._ranking.index[backend], self.clock.seconds()))

    def _entry(self, index: int, now: float) -> tuple[float, float, int]:
        backend = self._ranking.backends[index]
        active = backend.active
        time = self._timings[backend].time(now, self.period)
        if time is None:
            if active <= 0:
                return (UNTRIED, self._turns.starts[index], index)
            time = self._typical
        if self.resolution:
            time = (time // self.resolution + 1) * self.resolution
        return (time * (1 + active) * 100 / self._weights[index], self._turns.starts[index], index)

    def _look_again(self, index: int, now: float) -> None:
        due = self._timings[self._ranking.backends[index]].due(now, self.period)
        if due < self._next_due[index]:
            self._next_due[index] = due
            heappush(self._due, (due, index))

    def _let_time_pass(self, now: float) -> None:
        heap = self._due
        for _ in range(DUE_AT_ONCE):
            due, index = heap[0]
            if due > now:
                return
            if due != self._next_due[index]:
                heappop(heap)
                continue
            self._ranking.put(self._entry(index, now))
            due = self._timings[self._ranking.backends[index]].due(now, self.period)
            self._next_due[index] = due
            heapreplace(heap, (due, index))
