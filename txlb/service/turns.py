"""Work that is asked for faster than it is done: whoever asks while a run waits for its turn shares that run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredLock


@define(eq=False)
class Shared:
    """Runs `work` in turn with whatever else runs under `lock`. A run that has begun is too late for who asks then: what
    it works on may have changed since. So at most one waits."""

    lock: DeferredLock
    work: Callable[[], Deferred[Any]]
    _askers: list[Deferred[Any]] = field(factory=list)

    def ask(self) -> Deferred[Any]:
        """Fires with the result of a run that begins after this was called."""
        asked: Deferred[Any] = Deferred()
        self._askers.append(asked)
        if len(self._askers) == 1:
            self.lock.run(self._run)
        return asked

    def _run(self) -> Deferred[None]:
        askers, self._askers = self._askers, []

        def tell(result: Any) -> None:
            for asker in askers:
                asker.callback(result)

        return self.work().addBoth(tell)
