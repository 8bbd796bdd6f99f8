"""The right to use a backend for one connection, counted from before the dial until its release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txlb.interfaces import Measure, Outcome
from txlb.model.backend import Backend

if TYPE_CHECKING:
    from txlb.model.pool import Pool

_CONNECT = Measure.CONNECT.value
_FIRST_BYTE = Measure.FIRST_BYTE.value
_LAST_BYTE = Measure.LAST_BYTE.value
_OK = Outcome.OK.value


class Lease:
    """Tell it when the backend connected and when its first byte came, and release it exactly once.

    `strategy` names the strategy that picked. Times are seconds from the start of the dial.
    """

    __slots__ = ("backend", "heard", "pool", "released", "retrying", "strategy")

    def __init__(self, pool: Pool, backend: Backend, strategy: str, retrying: bool) -> None:
        self.pool = pool
        self.backend = backend
        self.strategy = strategy
        self.retrying = retrying
        self.heard = False
        self.released = False

    def connected(self, seconds: float) -> None:
        """The dial succeeded."""
        self.backend.connect_times.add(seconds)
        if self.retrying:
            self.retrying = False
            self.pool.retry_over()
        chain = self.pool.chain
        if chain.observes_time:
            chain.measured(self.backend, _CONNECT, seconds)

    def first_byte(self, seconds: float) -> None:
        """The backend said something: from here on a reset is no verdict on it."""
        backend = self.backend
        self.heard = True
        backend.failures = 0
        backend.first_byte_times.add(seconds)
        chain = self.pool.chain
        if chain.observes_time:
            chain.measured(backend, _FIRST_BYTE, seconds)

    def release(self, outcome: str, bytes_in: int = 0, bytes_out: int = 0, duration: float = 0.0) -> None:
        """It is over. Raises RuntimeError the second time, ValueError for an outcome that there is none of."""
        if self.released:
            raise RuntimeError(f"the lease of {self.backend.name} was released before")
        backend = self.backend
        if outcome not in backend.outcomes:
            raise ValueError(f"unknown outcome {outcome!r}")
        self.released = True
        backend.outcomes[outcome] += 1
        backend.bytes_in += bytes_in
        backend.bytes_out += bytes_out
        if duration:
            backend.durations.add(duration)
        pool = self.pool
        if self.retrying:
            self.retrying = False
            pool.retry_over()
        if outcome == _OK:
            backend.failures = 0
            if pool.chain.observes_time:
                pool.chain.measured(backend, _LAST_BYTE, duration)
        pool.returned(self, outcome)
