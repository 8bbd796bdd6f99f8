"""A running listener: where its connections are admitted, counted and, when it drains, ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txlb.events import ConnectionClosed, EventBus
from txlb.interfaces import IAcceptor, IEngine, IInspectsBytes, Outcome
from txlb.model.histogram import Histogram
from txlb.model.limits import AnyClientCounts, AnyGauge, ClientCounts
from txlb.model.pool import Pool
from txlb.proxy.failure_log import FailureLog
from txlb.proxy.pair import ProxyPair
from txlb.proxy.sides import Client, ClientSide, ClientSideFactory
from txlb.proxy.sweeper import Sweeper, period_for
from txlb.specs import ListenerSpec

UNLIMITED = sys.maxsize


def _room(gauge: AnyGauge) -> int:
    return UNLIMITED if gauge.limit is None else gauge.limit - gauge.value


class Listener:
    """Makes a pair for each accepted connection, within its limits.

    `gauge` counts this listener's connections, `process` those of all listeners together; `room_made` is called when
    there is a place again after none was left.
    """

    def __init__(
        self,
        spec: ListenerSpec,
        pool: Pool,
        engine: IEngine,
        clock: IReactorTime,
        bus: EventBus,
        process: AnyGauge,
        gauge: AnyGauge,
        room_made: Callable[[], None],
        make_clients: Callable[[], AnyClientCounts] = ClientCounts,
    ) -> None:
        self.name = spec.name
        self.now = clock.seconds
        self.total = self.rejected = 0
        self.paused = False
        self.outcomes: dict[str, int] = {outcome.value: 0 for outcome in Outcome}
        self.bytes_in = self.bytes_out = 0
        self.durations = Histogram()
        self.factory = ClientSideFactory(self)
        self.acceptors: list[IAcceptor] = []
        self.gauge = gauge
        self._process = process
        self._room_made = room_made
        self._clients: AnyClientCounts | None = None
        self._make_clients = make_clients
        self._sweeper = Sweeper(clock)
        self._bus = bus
        self._failures = FailureLog(clock)
        self._on_empty: list[Callable[[], None]] = []
        self.configure(spec, pool, engine)

    def configure(self, spec: ListenerSpec, pool: Pool, engine: IEngine) -> None:
        """Take these for connections to come; those that are open keep their pool and their engine."""
        self.spec = spec
        self.pool = pool
        self.engine = engine
        self.linked = engine.links and not IInspectsBytes.implementedBy(self.factory.protocol)
        self.timeouts = spec.timeouts
        self.gauge.limit = spec.max_connections
        self._count_clients(spec.max_connections_per_client)
        self._sweeper.period = period_for(spec.timeouts)

    def _count_clients(self, limit: int | None) -> None:
        """Clients are counted only where there is a limit for each; one that comes with a reload finds some open. Those on
        UNIX sockets have no address to be told apart by, and none is counted."""
        clients = self._clients
        if limit is None:
            for host in self._hosts() if clients is not None else ():
                clients.give(host)  # type: ignore[union-attr]
            self._clients = None
            return
        if clients is None:
            clients = self._clients = self._make_clients()
            for host in self._hosts():
                clients.take(host)
        clients.limit = limit

    def _hosts(self) -> list[str]:
        return [host for pair in self.pairs() if (host := pair.client.host)]

    @property
    def open(self) -> int:
        """Connections that are open now in this process."""
        return self.gauge.own

    def pairs(self) -> list[ProxyPair]:
        """The open connections."""
        return self._sweeper.pairs()

    def room(self) -> int:
        """How many more connections may be accepted."""
        return min(_room(self.gauge), _room(self._process))

    def places(self) -> int:
        """How many an engine may accept in this turn: as `room`, and nobody else can take them meanwhile."""
        return min(self.gauge.places(), self._process.places())

    def make_pair(self, side: ClientSide, client: Client) -> ProxyPair:
        """A pair for a client that was accepted."""
        return ProxyPair(self, side, client)

    def admit(self, pair: ProxyPair) -> str:
        """Count this connection; returns why it is refused, or nothing."""
        self.total += 1
        if not self._process.take():
            return "too many connections"
        if not self.gauge.take():
            self._process.give()
            return "too many connections on this listener"
        if self._clients is not None and (host := pair.client.host) and not self._clients.take(host):
            self._process.give()
            self.gauge.give()
            return "too many connections of this client"
        self._sweeper.watch(pair)
        if self._full():
            self.pause()
        return ""

    def _full(self) -> bool:
        return self.gauge.value == self.gauge.limit or self._process.value == self._process.limit

    def closed(self, pair: ProxyPair) -> None:
        """A pair is over: release what it held, and tell. Its place is given back whatever becomes of the rest, or a
        drain would never end; and last, because who waits for the last connection stops the log too."""
        try:
            self._settle(pair)
        finally:
            if pair.shard is not None:
                self._give_back(pair)

    def _settle(self, pair: ProxyPair) -> None:
        duration = self.now() - pair.started
        outcome = pair.outcome or Outcome.OK
        bytes_in, bytes_out = pair.bytes_in, pair.bytes_out
        self.outcomes[outcome] += 1
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.durations.add(duration)
        if pair.lease is not None:
            pair.lease.release(outcome, bytes_in, bytes_out, duration)
        if outcome is Outcome.REJECTED:
            self.rejected += 1
        if outcome is not Outcome.OK or self._bus.wants(ConnectionClosed):
            self._tell(pair, outcome, bytes_in, bytes_out, duration)

    def _give_back(self, pair: ProxyPair) -> None:
        self._sweeper.forget(pair)
        full = self._full()
        if self._clients is not None and (host := pair.client.host):
            self._clients.give(host)
        self._process.give()
        self.gauge.give()
        if full:
            self._room_made()
        if not self.gauge.own and self._on_empty:
            waiting, self._on_empty = self._on_empty, []
            for callback in waiting:
                callback()

    def _tell(self, pair: ProxyPair, outcome: Outcome, bytes_in: int, bytes_out: int, duration: float) -> None:
        client = pair.client
        event = ConnectionClosed(  # by position: it is made for each connection, and names would take as long again
            self.name,
            pair.pool_name,
            pair.backend_name,
            pair.lease.strategy if pair.lease is not None else "",
            client.host,
            client.port,
            outcome,
            pair.reason,
            pair.tries,
            bytes_in,
            bytes_out,
            time.time() - duration,
            pair.connect_seconds,
            pair.first_byte_seconds,
            duration,
        )
        if outcome is not Outcome.OK:
            self._failures.write(event)
        self._bus.publish(event)

    def pause(self) -> None:
        """Accept nothing more; clients wait in the backlog."""
        self.paused = True
        for acceptor in self.acceptors:
            acceptor.pause()

    def resume(self) -> None:
        """Accept again where there is room."""
        if self.room() > 0:
            self.paused = False
            for acceptor in self.acceptors:
                acceptor.resume()

    def accept_waiting(self) -> None:
        """Its ports are about to be closed: accept who has come so far, instead of resetting them."""
        for acceptor in self.acceptors:
            acceptor.accept_waiting()

    def abort_all(self, outcome: Outcome, reason: str, backend: Any = None) -> int:
        """Reset the open connections, or only those on one backend; returns how many."""
        doomed = [pair for pair in self.pairs() if backend is None or (pair.lease and pair.lease.backend is backend)]
        for pair in doomed:
            pair.abort(outcome, reason)
        return len(doomed)

    def when_empty(self, callback: Callable[[], None]) -> None:
        """Call back once no connection is open, at once if that is so."""
        if self.gauge.own:
            self._on_empty.append(callback)
        else:
            callback()

    def stop(self) -> None:
        """Let go of the timers."""
        self._sweeper.stop()
        self._failures.stop()

    def snapshot(self) -> dict[str, Any]:
        """The state that operators see."""
        return {
            "engine": self.engine.name,
            "open": self.open,
            "total": self.total,
            "rejected": self.rejected,
            "pool": self.pool.name,
            "listen": list(self.spec.listen),
            "max_connections": self.spec.max_connections,
        }

    def measurements(self) -> dict[str, Any]:
        """Counters beyond the snapshot: outcomes, bytes as read from clients and from backends, and durations as
        (bucket counts, sum of seconds), all of connections that are over."""
        return {
            "outcomes": self.outcomes.copy(),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "duration": (self.durations.counts.copy(), self.durations.total),
        }
