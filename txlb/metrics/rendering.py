"""One scrape, from reading to text, in slices: the data path gets its turn every few milliseconds, however many
backends there are. Who asks while one is under way gets the same one."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import evolve
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from txlb.clock import in_slices
from txlb.events import EventBus
from txlb.interfaces import IControl
from txlb.metrics import families
from txlb.metrics.backends import BackendLines
from txlb.metrics.process import LoopLag
from txlb.metrics.tally import Tally
from txlb.specs import Config


class Metrics:
    """Counts events from when it is made, and samples the event loop, until `stop`. `now` tells the time of day."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(
        self, control: IControl, bus: EventBus, clock: IReactorTime, now: Callable[[], float] = time.time
    ) -> None:
        self._control = control
        self._clock = clock
        self._tally = Tally(bus, now)
        self._lag = LoopLag(clock)
        self._lag.start()
        self._backends = BackendLines()
        self._small = _OneFamily()
        self._config_hash = ""
        self._waiting: list[Deferred[bytes]] = []

    def applied(self, config: Config) -> None:
        """This is the configuration that runs from now on."""
        plain = evolve(config, file="", warnings=())
        self._config_hash = hashlib.sha256(repr(plain).encode("utf-8", "replace")).hexdigest()[:16]

    def stop(self) -> None:
        """Let go of the timer and the events."""
        self._tally.stop()
        self._lag.stop()

    def render(self) -> Deferred[bytes]:
        """A Deferred of the text."""
        asked: Deferred[bytes] = Deferred()
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            self._render().addBoth(self._answer)
        return asked

    def _answer(self, result: Any) -> None:
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            asked.callback(result)

    @inlineCallbacks
    def _render(self) -> Any:
        state = yield self._control.state()
        yield self._turn()
        measured = yield self._control.measurements()
        yield self._turn()
        text: list[str] = []
        yield in_slices(self._clock, self._steps(state, measured, text))
        yield self._turn()
        return "".join(text).encode()

    def _turn(self) -> Deferred[None]:
        """The data path's turn: each part takes milliseconds by itself."""
        return deferLater(self._clock, 0)

    def _steps(self, state: Any, measured: Any, text: list[str]) -> Iterator[None]:
        self._tally.keep_only(state["pools"])
        yield
        ready, draining = self._control.ready(), self._control.draining()
        small: Iterable[Iterator[Metric]] = (
            families.balancer(measured, ready, draining, self._config_hash),
            families.process(self._lag),
            families.happenings(self._tally),
            families.listeners(state, measured),
            families.pools(state, measured, self._tally),
        )
        for group in small:
            for family in group:
                text.append(self._small.render(family))
                yield
        yield from self._backends.steps(state, measured, text)


class _OneFamily(Collector):
    """Has prometheus_client render a family at a time."""

    def __init__(self) -> None:
        self._families: list[Metric] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def collect(self) -> list[Metric]:
        """What is to be rendered now."""
        return self._families

    def render(self, family: Metric) -> str:
        """Its lines."""
        self._families = [family]
        return generate_latest(self._registry).decode()
