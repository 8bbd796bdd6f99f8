"""A worker's part: it tells what its traffic meets, and does what was decided for all.

Failures are told a batch at a time. Successes are told only of a backend under suspicion, that is one of which a failure
was told, here or in another worker, and no success since: so the parent's count is of failures in a row over all
workers, and traffic that is well costs no message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from txlb.model.backend import Backend
from txlb.model.pool import Pool

Verdicts = list[tuple[str, str, bool, str]]


class Follower:
    """`pools()` are the worker's pools now, `tell(verdicts)` sends a batch to the parent; `soon()` asks for a `report` to
    be called before long."""

    def __init__(
        self,
        pools: Callable[[], Mapping[str, Pool]],
        tell: Callable[[Verdicts], object],
        soon: Callable[[], object] = lambda: None,
    ) -> None:
        self._pools = pools
        self._tell = tell
        self._soon = soon
        self._batch: Verdicts = []
        self._suspects: dict[Backend, str] = {}

    def follow(self) -> None:
        """Take on pools that are new: they judge no more."""
        for pool in self._pools().values():
            pool.delegate_failures(lambda backend, reason, name=pool.name: self._failed(name, backend, reason))  # type: ignore[misc]

    def obey(self, pool_name: str, command: Sequence[Any]) -> None:
        """Carry out a command of the parent's."""
        pool = self._pools().get(pool_name)
        if pool is None:
            return
        if command[0] == "suspect":
            self._suspect(pool, command[1])
            return
        if command[0] == "eject" and (backend := pool.backends.get(command[1])) is not None:
            self._suspects.pop(backend, None)
        pool.apply(command)

    @property
    def suspects(self) -> bool:
        """Whether a success would be news."""
        return bool(self._suspects)

    def report(self) -> None:
        """Send what has come together."""
        for backend in [backend for backend in self._suspects if not backend.failures]:
            self._batch.append((self._suspects.pop(backend), backend.name, True, ""))
        if self._batch:
            batch, self._batch = self._batch, []
            self._tell(batch)

    def _suspect(self, pool: Pool, name: str) -> None:
        backend = pool.backends.get(name)
        if backend is not None and backend not in self._suspects:
            backend.failures = backend.failures or 1
            self._suspects[backend] = pool.name

    def _failed(self, pool_name: str, backend: Backend, reason: str) -> None:
        if backend in self._suspects and not backend.failures:
            self._batch.append((pool_name, backend.name, True, ""))
        backend.failures += 1
        self._suspects[backend] = pool_name
        self._batch.append((pool_name, backend.name, False, reason))
        self._soon()
