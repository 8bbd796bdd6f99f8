"""Peak EWMA: an average of times that believes bad news at once and good news slowly.

Source: Finagle's `Ewma` / `PeakEwma`. With w = e^(-elapsed / TAU) a sample becomes `sample * (1 - w) + average * w`; one
above the average replaces it. Without samples the average decays by w, so that a slow backend is tried again. The load
is `average * (pending + 1)`; pending connections without any history are a huge load, since nothing came back yet.
A failure is booked as a time of 5 s (Linkerd), so that failing is never fast.
"""

from __future__ import annotations

from math import exp, inf, log
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txlb.interfaces import Measure, Outcome

TAU = 10.0
"""Seconds in which an average without samples falls to 1/e."""

FAILED = 5.0
"""The time that a failure is booked as."""

FAILURES = frozenset({Outcome.REFUSED, Outcome.CONNECT_TIMEOUT, Outcome.RESET_BY_BACKEND})
"""Outcomes that are the backend's fault."""

PENALTY = 1e9
"""The logarithm of a load, more than any average gives: something is pending and nothing ever came back."""

_SHORTEST = 1e-6


class PeakEwma:
    """The average of one backend, as of the time `stamp`; 0 stands for no history."""

    __slots__ = ("average", "stamp")

    def __init__(self) -> None:
        self.average = 0.0
        self.stamp = 0.0

    def observe(self, now: float, seconds: float) -> None:
        """Take in a sample."""
        seconds = max(seconds, _SHORTEST)
        kept = exp(-max(0.0, now - self.stamp) / TAU)
        decayed = self.average * kept
        self.average = seconds if seconds > decayed else seconds * (1 - kept) + decayed
        self.stamp = now

    def read(self, now: float) -> float:
        """The average now, in seconds."""
        return self.average * exp(-max(0.0, now - self.stamp) / TAU)

    def log_load(self, active: int, weight: int) -> float:
        """The logarithm of the load, less now / TAU.

        All averages decay at one rate, so loads keep their order while time passes, and this needs no clock.
        """
        if self.average:
            return log(self.average) + self.stamp / TAU + log((max(active, 0) + 1) / weight)
        return PENALTY + active / weight if active > 0 else -inf


class Averages:
    """What strategies share that keep such an average of each backend: they have these fields."""

    clock: IReactorTime
    measure: Measure
    _averages: dict[Any, PeakEwma]

    def measured(self, backend: Any, what: str, seconds: float) -> None:
        if what == self.measure:
            self._observe(backend, seconds)

    def released(self, backend: Any, outcome: str) -> None:
        if outcome in FAILURES:
            self._observe(backend, FAILED)

    def _keep(self, backends: tuple) -> None:
        """Have an average of each of these and of nobody else."""
        before = self._averages
        self._averages = {backend: before.get(backend) or PeakEwma() for backend in backends}

    def _observe(self, backend: Any, seconds: float) -> None:
        average = self._averages.get(backend)
        if average is not None:
            average.observe(self.clock.seconds(), seconds)
