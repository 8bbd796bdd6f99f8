"""What the strategies have been told of the offer, and how they are told: once a turn, in slices of the reactor's time.

A rebuild may return an iterator of steps. They run a few milliseconds at a time, so that a table of a million slots never
holds up a connection, while the old table serves. What is offered meanwhile waits until the unfinished rebuild is
complete, and then the newest offer is taken: were each change to begin anew, weights that change faster than a table
is built would leave the first table in place for ever. A new chain of strategies takes over when its first rebuild is
complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from txlb.model.backend import Backend
from txlb.model.chain import Chain

SLICE = 0.005
"""Seconds for which steps run before the reactor gets its turn."""

AT_START = 1.0
"""Seconds that the first table may hold up the start of the program."""


class Rebuilds:
    """`serve(chain)` is called when a chain's table is complete."""

    def __init__(self, clock: IReactorTime, chain: Chain, serve: Callable[[Chain], None]) -> None:
        self._clock = clock
        self._chain = chain
        self._serve = serve
        self._backends: tuple[Backend, ...] = ()
        self._weights: tuple[int, ...] = ()
        self._untold = True
        self._running = chain
        self._steps: Iterator[None] | None = None
        self._call: IDelayedCall | None = None

    def offer(self, backends: tuple[Backend, ...]) -> None:
        """These may be picked from now on; the strategies hear of it at the next `tell`."""
        weights = tuple(backend.effective_weight for backend in backends)
        if backends != self._backends or weights != self._weights:
            self._backends, self._weights = backends, weights
            self._untold = True

    def replace(self, chain: Chain) -> None:
        """Tell another chain from now on; it serves when it is ready."""
        self._chain = chain
        self._untold = True

    def tell(self) -> bool:
        """Have the strategies rebuild where something is new to them; returns whether they were told now."""
        if not self._untold or (self._call is not None and self._running is self._chain):
            return False
        self._untold = False
        self.stop()
        self._running = self._chain
        self._steps = self._running.rebuild(self._backends)
        if self._steps is None:
            self._serve(self._running)
        else:
            self._call = self._clock.callLater(0, self._run, SLICE)
        return True

    def finish(self) -> None:
        """Run what is left at once, before anybody is served; what takes longer than a second goes on in slices."""
        if self._call is not None:
            self._call.cancel()
            self._run(AT_START)

    def stop(self) -> None:
        """Drop what is unfinished."""
        if self._call is not None:
            self._call.cancel()
        self._call = self._steps = None

    def _run(self, seconds: float) -> None:
        self._call = None
        until = self._clock.seconds() + seconds
        for _ in self._steps or ():
            if self._clock.seconds() >= until:
                self._call = self._clock.callLater(0, self._run, SLICE)
                return
        self._steps = None
        self._serve(self._running)
        self.tell()
