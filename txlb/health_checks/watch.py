"""One backend's timetable: when it is probed, one probe at a time.

The first probes of a pool are spread over a second, so that verdicts come soon; from the second on they are spread
over the whole interval, and jitter keeps them from falling into step. The interval counts from start to start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txlb.health_checks.gate import Gate
from txlb.health_checks.probe import Probe
from txlb.health_checks.verdicts import Verdict
from txlb.model.states import AdminState, HealthState
from txlb.specs import BackendSpec, HealthSpec, PoolSpec

log = Logger()

SOON = 1.0
"""Seconds in which all first probes are started, where the interval is not shorter."""

JITTER = 0.1
"""Each interval is longer or shorter by up to this share of it."""


class WatchedBackend(Protocol):
    """What is asked of a backend."""

    @property
    def spec(self) -> BackendSpec: ...
    @property
    def admin(self) -> AdminState: ...
    @property
    def health(self) -> HealthState: ...


class WatchedPool(Protocol):
    """What is asked of a pool."""

    @property
    def name(self) -> str: ...
    @property
    def spec(self) -> PoolSpec: ...
    @property
    def backends(self) -> Mapping[str, WatchedBackend]: ...
    def observe(self, name: str, ok: bool, reason: str) -> object: ...


@frozen
class Surroundings:
    """What all watches of a scheduler share."""

    clock: IReactorTime
    rng: Random
    gate: Gate


class Watch:
    """Probes `target` until it is stopped; `heard(verdict)` is called between a probe and the planning of the next."""

    def __init__(
        self,
        around: Surroundings,
        health: HealthSpec,
        ask: Callable[[str], Any],
        target: str,
        backend: WatchedBackend,
        heard: Callable[[Verdict], None],
    ) -> None:
        self.target = target
        self.backend = backend
        self._around = around
        self._health = health
        self._ask = ask
        self._heard = heard
        self._timer: Any = None
        self._probe: Probe | None = None
        self._begun = 0.0
        self._second: float | None = None
        self._stopped = False

    def start(self, share: float) -> None:
        """Begin; `share`, from 0 to 1, is this backend's place among those that begin together."""
        interval = self._health.interval
        first = share * min(interval, SOON)
        self._second = interval / 2 + share * interval - first
        self._arm(first)

    def retire(self) -> None:
        """Start no more probes. Of many watches all retire before the first stops, lest its place goes to another."""
        self._stopped = True
        self._around.gate.forget(self)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def stop(self) -> None:
        """Probe no more, and let go of what a probe holds."""
        self.retire()
        if self._probe is not None:
            self._probe.cancel()
            self._probe = None
            self._around.gate.leave()

    def _arm(self, delay: float) -> None:
        self._timer = self._around.clock.callLater(max(0.0, delay), self._due)

    def _due(self) -> None:
        if self.backend.admin == AdminState.MAINT:
            self._begun = self._around.clock.seconds()
            self._plan()
        else:
            self._around.gate.enter(self, self._run)

    def _run(self) -> None:
        self._begun = self._around.clock.seconds()
        self._probe = Probe(self._around.clock, self._health.timeout, self._ended)
        self._probe.start(self._ask, self.target)

    def _ended(self, verdict: Verdict) -> None:
        self._probe = None
        self._around.gate.leave()
        try:
            self._heard(verdict)
        except Exception:
            log.failure("A verdict about {target} could not be taken in", target=self.target)
        if not self._stopped:
            self._plan()

    def _plan(self) -> None:
        self._arm(self._begun + self._pause() - self._around.clock.seconds())

    def _pause(self) -> float:
        interval = self._health.interval
        second, self._second = self._second, None
        if self.backend.health == HealthState.DOWN and self._health.down_interval is not None:
            interval, second = self._health.down_interval, None
        if second is not None:
            return second
        return interval * (1 + JITTER * (2 * self._around.rng.random() - 1))
