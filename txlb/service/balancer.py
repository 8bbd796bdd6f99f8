"""One process's balancer: everything that a `Config` asks for, and the way from one `Config` to the next.

`_apply` is the one door for start and reload. It first binds what is new, which may fail and then changes nothing, and
afterwards changes everything else in one turn of the reactor, so that no connection meets half a configuration. What fails
there although it should not is undone in the same turn, by the same means.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock, inlineCallbacks
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb import registry
from txlb.clock import SteadyClock
from txlb.echo import EchoFactory
from txlb.events import BackendChanged, BackendDown, EventBus
from txlb.health_checks.scheduler import Scheduler
from txlb.interfaces import Outcome
from txlb.model import decided
from txlb.model.chain import Chain
from txlb.model.limits import ClientCounts, Gauge, MakeClientCounts, MakeGauge
from txlb.model.pool import Pool
from txlb.proxy.listener import Listener
from txlb.service.engines import Engines
from txlb.service.ports import Plain, Ports, listened_on
from txlb.service.telling import tell_of_reload
from txlb.specs import Config, ListenerSpec, PoolSpec

log = Logger()

NOTHING = Config()


class Balancer:
    """Pools, listeners and health checks of one process.

    `most_connections` is the limit for all listeners together. `make_gauge(name, limit)` makes what connections are
    counted with; names are such as `process`, `listener/web`, `pool/echoes` and `pool/echoes/green`. `make_clients(name)`
    makes what a listener counts client addresses with.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        clock: Any = None,
        rng: random.Random | None = None,
        ports: Ports | None = None,
        most_connections: int | None = None,
        make_gauge: MakeGauge = lambda name, limit: Gauge(limit),
        make_clients: MakeClientCounts = lambda listener: ClientCounts(),
        strategies: registry.Registry | None = None,
        health_checks: registry.Registry | None = None,
        checks_health: bool = True,
    ) -> None:
        self.reactor = reactor
        self.clock = clock or SteadyClock(reactor)
        self.rng = rng or random.Random()
        self.bus = EventBus()
        self.config = NOTHING
        self.pools: dict[str, Pool] = {}
        self.listeners: dict[str, Listener] = {}
        self.draining = False
        self.ports = ports or Ports(reactor)
        self.engines = Engines(reactor, self.clock)
        self.process = make_gauge("process", most_connections)
        self.health = Scheduler(reactor, self.clock, self.rng, self.bus, health_checks) if checks_health else None
        self._make_gauge = make_gauge
        self._make_clients = make_clients
        self._strategies = strategies or registry.strategies()
        self._lock = DeferredLock()
        self._echo = EchoFactory(reactor)
        self._leaving: set[Listener] = set()
        self._handed_over = False
        self.bus.subscribe(BackendChanged, self._backend_changed)
        self.bus.subscribe(BackendDown, self._backend_down)

    # From one configuration to the next

    def start(self, config: Config) -> Deferred[None]:
        """The first configuration. Fails with PortUnavailable, having started nothing."""
        return self._lock.run(self._apply, config)

    def reload(self, config: Config) -> Deferred[None]:
        """Another configuration, in turn with others that are on their way. Fails with PortUnavailable, having changed
        nothing. The bus is told either way."""
        return tell_of_reload(self.bus, config, self._lock.run(self._apply, config))

    @inlineCallbacks
    def _apply(self, config: Config) -> Any:
        wanted = listened_on(config)
        self._try_strategies(config)
        yield self.ports.bind(wanted, self.ports.bound.keys() - set(wanted))
        if self.draining:
            wanted = []
        failure = None if self.draining else self._become_or_stay(config)
        if failure is not None:
            wanted = listened_on(self.config)
        yield DeferredList([self.ports.close(d) for d in list(self.ports.bound) if d not in wanted])
        if failure is not None:
            failure.raiseException()

    def _become_or_stay(self, config: Config) -> Failure | None:
        """Why it could not be; then everything is as it was."""
        before = self.config
        try:
            self._become(config)
        except Exception:
            failure = Failure()
        else:
            return None
        try:
            self._become(before)
        except Exception:
            log.failure("What was served before is not served again in all its parts")
        return failure

    def _try_strategies(self, config: Config) -> None:
        """Make those that are new, for nothing: a third party's constructor may raise, and must not do so midway."""
        for spec in config.pools.values():
            pool = self.pools.get(spec.name)
            if pool is None or pool.spec.strategy != spec.strategy:
                Chain(spec.strategy, self._strategies, self.clock, random.Random(), self.bus)

    def _become(self, config: Config) -> None:
        self.config = config
        self._prepare_engines(config)
        for spec in config.pools.values():
            self._have_pool(spec)
        for name in [name for name in self.listeners if name not in config.listeners]:
            self._retire(self.listeners.pop(name))
        for listener in config.listeners.values():
            self._serve(listener)
        for description in config.echo:
            self.ports.bound[description].hand_to("echo", self._echo, Plain)
        for name in self.pools.keys() - config.pools.keys():
            self._drop(self.pools.pop(name))
        self.pools = {name: self.pools[name] for name in config.pools}

    def _have_pool(self, spec: PoolSpec) -> None:
        pool = self.pools.get(spec.name)
        if pool is None:

            def make_gauge(name: str, limit: int | None) -> Any:
                return self._make_gauge(f"pool/{spec.name}/{name}".rstrip("/"), limit)

            pool = Pool(spec, self._strategies, self.clock, self.rng, self.bus, make_gauge)
            self.pools[spec.name] = pool
        else:
            pool.reconcile(spec)
        if self.health is not None:
            self.health.sync(pool)

    def _drop(self, pool: Pool) -> None:
        if self.health is not None:
            self.health.forget(pool.name)
        pool.stop()

    def _prepare_engines(self, config: Config) -> None:
        """Engines must know what will be dialled before a pool hands it out, and until the old is not handed out."""
        for listener in self._all_listeners():
            spec = config.listeners.get(listener.name, listener.spec)
            connects = self._connects(spec.pool, config.pools) | self._connects(listener.spec.pool, {})
            self.engines.prepare(listener.engine, connects, spec, self._all_listeners())

    def _connects(self, pool_name: str, specs: Mapping[str, PoolSpec]) -> set[str]:
        pool = self.pools.get(pool_name)
        running = {b.spec.connect for b in pool.backends.values()} if pool else set()
        return running | {b.connect for b in specs[pool_name].backends} if pool_name in specs else running

    def _serve(self, spec: ListenerSpec) -> None:
        pool = self.pools[spec.pool]
        connects = self._connects(spec.pool, {})
        engine = self.engines.choose(spec, connects)
        listener = self.listeners.get(spec.name)
        if listener is None:
            gauge = self._make_gauge(f"listener/{spec.name}", spec.max_connections)
            listener = Listener(
                spec,
                pool,
                engine,
                self.clock,
                self.bus,
                self.process,
                gauge,
                self.room_made,
                lambda: self._make_clients(spec.name),
            )
            self.listeners[spec.name] = listener
        else:
            listener.configure(spec, pool, engine)
        self.engines.prepare(engine, connects, spec, self._all_listeners())
        acceptors: list[Any] = []
        for description in spec.listen:
            bound = self.ports.bound[description]
            bound.hand_to(
                (listener, engine, spec.timeouts),
                listener.factory,
                lambda port, factory: engine.serve(port, factory, listener.places),
            )
            acceptors.append(bound.acceptor)
        for acceptor in listener.acceptors:
            if acceptor not in acceptors:
                acceptor.accept_waiting()
        listener.acceptors = acceptors
        listener.resume()

    def _retire(self, listener: Listener) -> None:
        """It accepts no more; its connections run to their end."""
        listener.accept_waiting()
        for bound in self.ports.bound.values():
            if isinstance(bound.server, tuple) and bound.server[0] is listener:
                bound.release()
        listener.acceptors = []
        self._leaving.add(listener)
        listener.when_empty(lambda: self._left(listener))

    def _left(self, listener: Listener) -> None:
        self._leaving.discard(listener)
        listener.stop()
        if all(other.name != listener.name for other in self._all_listeners()):
            self.engines.stop(listener.name)

    # While it runs

    def addresses(self, listener: str) -> list[IAddress]:
        """Where that listener is bound; raises KeyError."""
        return [self.ports.bound[description].port.getHost() for description in self.listeners[listener].spec.listen]

    def objection(self, pool_name: str, connect: str) -> str | None:
        """Why a backend with this client endpoint string cannot join that pool, by the word of the listeners' engines."""
        specs = [spec for spec in self.config.listeners.values() if spec.pool == pool_name]
        return next(filter(None, (self.engines.objection(spec, [connect]) for spec in specs)), None)

    def room_made(self) -> None:
        """There is a place again, here or in another worker: accept where that was waited for."""
        for listener in self.listeners.values():
            listener.resume()

    def pause(self) -> None:
        """Accept nobody until `resume`; who comes waits."""
        for bound in self.ports.bound.values():
            if bound.acceptor is not None:
                bound.acceptor.pause()

    def resume(self) -> None:
        """Accept again."""
        for bound in self.ports.bound.values():
            if bound.acceptor is not None:
                bound.acceptor.resume()

    def _backend_changed(self, event: BackendChanged) -> None:
        """An operator changed a pool: what is dialled and what is probed follows."""
        if event.what in ("added", "removed") and not self.draining:
            for spec in self.config.listeners.values():
                if spec.pool == event.pool:
                    self._serve(spec)
        if self.health is not None and event.pool in self.pools:
            self.health.sync(self.pools[event.pool])

    def _backend_down(self, event: BackendDown) -> None:
        pool = self.pools.get(event.pool)
        if pool is not None and pool.spec.close_when_down and event.backend in pool.backends:
            for listener in self._all_listeners():
                listener.abort_all(
                    Outcome.RESET_BY_BACKEND, f"the backend went down: {event.reason}", pool.backends[event.backend]
                )

    def _all_listeners(self) -> Iterable[Listener]:
        return [*self.listeners.values(), *self._leaving]

    def engine(self, listener: str) -> str:
        """The name of the engine that serves this listener."""
        return self.listeners[listener].engine.name

    @property
    def open(self) -> int:
        """Connections that are open now, on listeners that are leaving too."""
        return sum(listener.open for listener in self._all_listeners())

    def ready(self) -> bool:
        """Whether it makes sense to send clients: it is not draining, and every listener's pool has a backend."""
        return not self.draining and all(self.pools[spec.pool].offered for spec in self.config.listeners.values())

    def snapshot(self) -> dict[str, Any]:
        """The state that operators see, as plain data."""
        return {
            "listeners": {name: listener.snapshot() for name, listener in self.listeners.items()},
            "pools": {name: pool.snapshot() for name, pool in self.pools.items()},
        }

    def measurements(self) -> dict[str, Any]:
        """Counters and histograms beyond the snapshot, as plain data."""
        return {
            "listeners": {name: listener.measurements() for name, listener in self.listeners.items()},
            "pools": {name: pool.measurements() for name, pool in self.pools.items()},
            "process": {"open": self.process.value, "limit": self.process.limit},
        }

    # From one process to another

    def export(self) -> dict[str, Any]:
        """What was decided, for another process (`txlb.model.decided`)."""
        return decided.export(self.pools)

    def restore(self, said: Mapping[str, Any]) -> None:
        """What another process had decided holds from now on."""
        decided.restore(self.pools, said)
        for spec in () if self.draining else self.config.listeners.values():
            self._serve(spec)  # backends may have been added, which engines have to know
        if self.health is not None:
            for pool in self.pools.values():
                self.health.sync(pool)

    def hand_over(self) -> None:
        """Another process has the same sockets: let it have those who wait there. A drain is to follow, which also
        waits for what it still talks to here, the echo servers."""
        self.ports.leave()
        for description in [description for description in self.config.echo if description in self.ports.bound]:
            self.ports.close(description)
        self._handed_over = True

    # The end

    @inlineCallbacks
    def drain(self) -> Any:
        """Accept no more, and fire when every connection has ended; those that have not at `drain_timeout` are reset."""
        self.draining = True
        served = {description for spec in self.config.listeners.values() for description in spec.listen}
        for listener in self.listeners.values():
            listener.accept_waiting()
        self._forget_acceptors()
        yield DeferredList([self.ports.close(description) for description in served & self.ports.bound.keys()])
        waiting = [self._emptied(listener) for listener in self._all_listeners()]
        if self._handed_over:
            waiting.append(self._echo.emptied())
        timeout = self.clock.callLater(self.config.drain_timeout, self._abort_all, "drain_timeout is over")
        yield DeferredList(waiting)
        if timeout.active():
            timeout.cancel()
        yield self.stop()

    @inlineCallbacks
    def stop(self) -> Any:
        """Let go of everything now."""
        self.draining = True
        if self.health is not None:
            self.health.stop()
        self._forget_acceptors()
        yield DeferredList([self.ports.close(description) for description in list(self.ports.bound)])
        self._abort_all("the balancer stops")
        yield DeferredList([self._emptied(listener) for listener in self._all_listeners()])
        for pool in self.pools.values():
            pool.stop()
        for listener in list(self._all_listeners()):
            listener.stop()
            self.engines.stop(listener.name)

    def _forget_acceptors(self) -> None:
        """Their ports are about to be closed; room that is made later is nobody's."""
        for listener in self.listeners.values():
            listener.acceptors = []

    def _abort_all(self, reason: str) -> None:
        for listener in self._all_listeners():
            listener.abort_all(Outcome.DRAINED, reason)
        if self._handed_over:
            self._echo.abort_all()

    def _emptied(self, listener: Listener) -> Deferred[None]:
        emptied: Deferred[None] = Deferred()
        listener.when_empty(lambda: emptied.callback(None))
        return emptied
