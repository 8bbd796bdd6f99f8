"""Timeouts for many pairs at the cost of one timer.

A delayed call per connection costs more than the connection's own accounting. Instead each pair is looked at once per
period, a shard at a time, so that ten thousand of them never hold up one turn of the reactor. A timeout therefore comes
up to two periods late, and a period is at most a quarter of the shortest timeout. Without pairs there is no timer.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txlb.proxy.pair import ProxyPair
from txlb.proxy.timeouts import look_at
from txlb.specs import TimeoutsSpec

log = Logger()

SHARDS = 16
LONGEST_PERIOD = 1.0
SHORTEST_PERIOD = 0.05


def period_for(timeouts: TimeoutsSpec) -> float:
    """Seconds from one look at a pair to the next."""
    shortest = min(timeouts.connect, timeouts.idle, timeouts.half_close, timeouts.linger)
    return max(SHORTEST_PERIOD, min(LONGEST_PERIOD, shortest / 4))


@define
class Sweeper:
    """Keeps the live pairs, and looks at each of them once per `period` seconds."""

    clock: IReactorTime
    period: float = LONGEST_PERIOD
    _shards: list[set[ProxyPair]] = field(factory=lambda: [set() for _ in range(SHARDS)])
    _next: int = 0
    _call: IDelayedCall | None = None

    def watch(self, pair: ProxyPair) -> None:
        """Begin to look at this pair."""
        pair.shard = self._shards[self._next - 1]  # the one swept last: it gets a whole period before its first look
        pair.shard.add(pair)
        if self._call is None:
            self._call = self.clock.callLater(self.period / SHARDS, self._sweep)

    def forget(self, pair: ProxyPair) -> None:
        """This pair is over."""
        if pair.shard is not None:
            pair.shard.discard(pair)
            pair.shard = None

    def pairs(self) -> list[ProxyPair]:
        """Those that are alive now."""
        return [pair for shard in self._shards for pair in shard]

    def stop(self) -> None:
        """Let go of the timer."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _sweep(self) -> None:
        self._call = None
        now = self.clock.seconds()
        for pair in tuple(self._shards[self._next]):
            if pair.shard is not None:  # an earlier one's end may have ended it
                self._look_at(pair, now)
        self._next = (self._next + 1) % SHARDS
        if self._call is None and any(self._shards):
            self._call = self.clock.callLater(self.period / SHARDS, self._sweep)

    def _look_at(self, pair: ProxyPair, now: float) -> None:
        try:
            look_at(pair, now)
        except Exception:  # the timeouts of all others hang on this timer
            log.failure("Cannot look after a connection")
