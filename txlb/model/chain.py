"""Strategies in a row, and what they may do to the pool: nothing.

The next strategy is asked when the one before has no pick. One that raises, or picks what it was not offered, costs at
most that one connection: it is logged with its name, published as `PluginFailed`, and the next one is asked. That holds
for `sys.exit()` too, which is no `Exception`, and for errors and answers that raise when they are shown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Iterator
from typing import Any

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import safe_repr, safe_str

from txlb.events import EventBus, PluginFailed
from txlb.interfaces import IExplains, IObservesLoad, IObservesOutcome, IObservesTime
from txlb.model.backend import Backend
from txlb.registry import Registry
from txlb.specs import StrategySpec

log = Logger()

QUIET = 1.0
"""Seconds between two reports of one strategy; failures in between are counted in the next one."""


LONGEST = 200
"""Characters of what a strategy raised or picked that are reported."""


@define(eq=False)
class Link:
    """One strategy of the chain; `pick` is its bound method."""

    name: str
    strategy: Any
    pick: Callable[[Any, Container[Any]], Any]
    reported: float | None = None
    unreported: int = 0


class Chain:
    """The strategies of one pool. `observes_load` and its like hold those that provide the interface."""

    __slots__ = ("_bus", "_clock", "_known", "links", "observes_load", "observes_outcome", "observes_time", "picked_by")

    def __init__(
        self,
        specs: tuple[StrategySpec, ...],
        registry: Registry,
        clock: IReactorTime,
        rng: random.Random,
        bus: EventBus,
    ) -> None:
        """Builds the strategies; raises UnknownPlugin, BrokenPlugin and OptionError as the registry does."""
        self._clock = clock
        self._bus = bus
        self._known: frozenset[Backend] = frozenset()
        self.links: list[Link] = []
        for spec in specs:
            strategy = registry.build(spec.name, spec.options, clock=clock, rng=rng)
            self.links.append(Link(spec.name, strategy, strategy.pick))
        self.observes_load = [link for link in self.links if IObservesLoad.providedBy(link.strategy)]
        self.observes_time = [link for link in self.links if IObservesTime.providedBy(link.strategy)]
        self.observes_outcome = [link for link in self.links if IObservesOutcome.providedBy(link.strategy)]
        self.picked_by = ""

    def pick(self, client: Any, exclude: Container[Any], offered: Container[Any]) -> Backend | None:
        """One of `offered` that is not in `exclude`, or None; `picked_by` then names the strategy that chose it."""
        for link in self.links:
            try:
                backend = link.pick(client, exclude)
                if backend is not None and (backend not in offered or backend in exclude):
                    backend = self._ask_again(link, client, exclude, offered, backend)
            except BaseException:
                self._failed(link, "pick")
                continue
            if backend is not None:
                self.picked_by = link.name
                return backend
        return None

    def rebuild(self, backends: tuple[Backend, ...]) -> Iterator[None] | None:
        """Tell every strategy of a new offer; returns the steps that are left, or None when there are none."""
        self._known |= frozenset(backends)
        unfinished = []
        for link in self.links:
            try:
                steps = link.strategy.rebuild(backends)
            except BaseException:
                self._failed(link, "rebuild")
                continue
            if steps is not None:
                unfinished.append((link, steps))
        if unfinished:
            return self._steps(unfinished, backends)
        self._known = frozenset(backends)
        return None

    def changed(self, backend: Backend) -> None:
        """The backend's load changed."""
        for link in self.observes_load:
            try:
                link.strategy.changed(backend)
            except BaseException:
                self._failed(link, "changed")

    def measured(self, backend: Backend, what: str, seconds: float) -> None:
        """A time was measured."""
        for link in self.observes_time:
            try:
                link.strategy.measured(backend, what, seconds)
            except BaseException:
                self._failed(link, "measured")

    def released(self, backend: Backend, outcome: str) -> None:
        """A connection or an attempt ended."""
        for link in self.observes_outcome:
            try:
                link.strategy.released(backend, outcome)
            except BaseException:
                self._failed(link, "released")

    def scores(self, client: Any) -> tuple[str, list[tuple[Any, float, str]]]:
        """The name and the scores of the first strategy that can explain itself; no scores where none can."""
        for link in self.links:
            if IExplains.providedBy(link.strategy):
                try:
                    return link.name, [(b, score, str(why)) for b, score, why in link.strategy.scores(client)]
                except BaseException:
                    self._failed(link, "scores")
        return self.links[0].name if self.links else "", []

    def _ask_again(
        self, link: Link, client: Any, exclude: Container[Any], offered: Container[Any], answer: Any
    ) -> Backend | None:
        """A table that is being rebuilt may name backends that are no longer offered: exclude those one by one."""
        stale: set[Any] = set()
        while answer is not None and answer not in offered:
            if answer not in self._known or answer in stale:
                self._report(link, f"picked {_words(safe_repr(answer))}, which it was not offered", None)
                return None
            stale.add(answer)
            answer = link.pick(client, _Either(exclude, stale))
        if answer is not None and answer in exclude:
            self._report(link, f"picked {_words(safe_repr(answer))}, which was excluded", None)
            return None
        return answer

    def _steps(self, unfinished: list[tuple[Link, Any]], backends: tuple[Backend, ...]) -> Iterator[None]:
        for link, steps in unfinished:
            try:
                yield from steps
            except GeneratorExit:  # a newer rebuild has taken the place of this one
                raise
            except BaseException:
                self._failed(link, "rebuild")
        self._known = frozenset(backends)

    def _failed(self, link: Link, where: str) -> None:
        failure = Failure()
        self._report(link, f"{where} raised {type(failure.value).__name__}: {_words(safe_str(failure.value))}", failure)

    def _report(self, link: Link, reason: str, failure: Failure | None) -> None:
        now = self._clock.seconds()
        if link.reported is not None and now - link.reported < QUIET:
            link.unreported += 1
            return
        if link.unreported:
            reason += f" ({link.unreported} more failures since the last report)"
        link.reported, link.unreported = now, 0
        if failure is None:
            log.error("Strategy {strategy}: {reason}", strategy=link.name, reason=reason)
        else:
            log.failure("Strategy {strategy}: {reason}", failure, strategy=link.name, reason=reason)
        self._bus.publish(PluginFailed("strategy", link.name, reason))


def _words(text: str) -> str:
    """On one line, and not too long."""
    shown = " ".join(text[:800].split())
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


class _Either:
    """What is in one of two containers."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Container[Any], second: Container[Any]) -> None:
        self._first = first
        self._second = second

    def __contains__(self, item: object) -> bool:
        return item in self._first or item in self._second
