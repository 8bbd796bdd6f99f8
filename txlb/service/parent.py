"""The parent of several workers: it binds, decides and reports, and carries no traffic.

To its service it is what a `Balancer` is to that of a single process (`txlb.service.running`): it starts, reloads, drains
and stops. A reload has two phases, so that all workers apply a configuration or none does: first each one reads it and
takes the sockets that are new, and says that it can; then all are told to. A worker that cannot keep up is replaced,
and the replacement begins with what holds now.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredLock, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txlb.clock import SteadyClock
from txlb.config import parse
from txlb.config.source import read_text
from txlb.errors import TxlbError
from txlb.events import AccessLogLost, EventBus, PluginFailed
from txlb.service.adopting import Given
from txlb.service.engines import Engines
from txlb.service.ports import listened_on
from txlb.service.shared_ports import ParentPorts
from txlb.service.telling import tell_of_reload
from txlb.specs import Config
from txlb.workers.channel import Message
from txlb.workers.control import WorkersControl
from txlb.workers.crew import Crew, Worker
from txlb.workers.decisions import Decisions
from txlb.workers.gauges import Gauges
from txlb.workers.logs import Logs
from txlb.workers.remote import counter
from txlb.workers.slots import Slots
from txlb.workers.spawning import Spawner
from txlb.workers.table import Table

log = Logger()

QUIET = 1.0
"""Seconds in which a plugin that fails in several workers is told of once."""

GRACE = 5.0
"""Seconds after `drain_timeout` in which workers reset what is left; then they are ended."""


class Parent:
    """`size` workers as one balancer. `given` are sockets by endpoint string that another parent hands over, and
    `decided` is what that one had decided (`Decisions.export`)."""

    def __init__(
        self,
        reactor: Any,
        size: int,
        logs: Logs,
        given: Given | None = None,
        decided: Mapping[str, Any] | None = None,
    ) -> None:
        self.size = size
        self.clock: IReactorTime = SteadyClock(reactor)
        self.bus = EventBus()
        self.config = Config()
        self.ports = ParentPorts(reactor, size, given)
        self.table = Table.create(size)
        self.slots = Slots(lambda slot: not self.table.total(slot))
        self._reactor = reactor
        self._text = ""
        self._key = os.urandom(16)
        self._lock = DeferredLock()
        self._number = 0
        self._asked = size
        self._decided = decided or {}
        self._holding = bool(given)  # who accepts for a parent that then cannot start resets its clients
        self._engines = Engines(reactor, self.clock)
        self._failed: dict[tuple[str, str], float] = {}
        self._counts = Gauges(self.table, 0, self.slots.by_name, self._key, lambda call: None)
        self.decisions = Decisions(reactor, self.clock, random.Random(), self.bus, self._gauge, self._obey)
        arguments = ["-m", "txlb.service.worker", type(reactor).__module__, logs.format, logs.level]
        self.crew = Crew(
            size,
            Spawner(reactor, arguments, logs.descriptor),
            self.clock,
            self.table,
            self._hello,
            self._told,
            self._left,
        )
        self._control: WorkersControl | None = None

    def control(self, read_again: Callable[[], Deferred[None]]) -> WorkersControl:
        """The IControl for operators; `read_again` reads the configuration file and applies it."""
        self._control = WorkersControl(
            self.bus,
            self.decisions,
            self.crew,
            self.table,
            self.slots,
            lambda: self.config,
            self._listeners,
            read_again,
            self._objection,
        )
        return self._control

    def _listeners(self) -> dict[str, Any]:
        return {
            name: {
                "engine": self.engine(name),
                "open": 0,
                "total": 0,
                "rejected": 0,
                "pool": spec.pool,
                "listen": list(spec.listen),
                "max_connections": spec.max_connections,
            }
            for name, spec in self.config.listeners.items()
        }

    @property
    def open(self) -> int:
        """Connections that are open now in all workers."""
        return self.table.total(self.slots.slot("process"))

    def engine(self, listener: str) -> str:
        """The name of the engine that serves this listener."""
        spec = self.config.listeners[listener]
        connects = [backend.connect for backend in self.config.pools[spec.pool].backends]
        return self._engines.choose(spec, connects).name

    # From one configuration to the next

    @inlineCallbacks
    def start(self, config: Config) -> Any:
        """The first configuration: fires when all workers are ready. Fails with PortUnavailable, having started
        nothing, or with CrewFailed."""
        self._text = _text_of(config)
        self._asked = config.workers
        yield self.ports.bind(listened_on(config))
        self._become(config)
        self.decisions.restore(self._decided)
        running: Deferred[None] = Deferred()
        self._reactor.callWhenRunning(running.callback, None)
        yield running
        yield self.crew.start()
        self._holding = False
        self.crew.tell({"do": "serve"})

    def reload(self, config: Config) -> Deferred[None]:
        """Another configuration, in turn with others that are on their way. Fails with PortUnavailable or TxlbError,
        having changed nothing. The bus is told either way."""
        return tell_of_reload(self.bus, config, self._lock.run(self._reload, config))

    @inlineCallbacks
    def _reload(self, config: Config) -> Any:
        text = _text_of(config)
        if self.crew.ending:
            raise TxlbError("the workers are draining")
        new = [description for description in listened_on(config) if description not in self.ports.bound]
        yield self.ports.bind(new, self.ports.bound.keys() - set(listened_on(config)))
        self._number += 1
        question = {"do": "prepare", "number": self._number, "text": text, "file": config.file, "ports": new}
        answers = yield self.crew.ask(question, descriptors=lambda worker: self.ports.descriptors(worker, new))
        refusals = [f"worker {number}: {answer['why']}" for number, answer in answers.items() if "why" in answer]
        if refusals or self.crew.ending:
            self.crew.tell({"do": "forget"})
            yield self._close(new)
            raise TxlbError("; ".join(refusals) or "the workers are draining")
        self._text = text
        self._become(config)
        self._tell_slots()
        for number, worker in list(self.crew.workers.items()):
            if number not in answers:
                self.crew.replace(worker, "has missed a reload")
        answers = yield self.crew.ask({"do": "apply", "number": self._number})
        for number, answer in answers.items():
            if "why" in answer and number in self.crew.workers:
                self.crew.replace(self.crew.workers[number], f"could not reload: {answer['why']}")
        yield self._close(set(self.ports.bound) - set(listened_on(config)))
        if config.workers != self._asked:
            log.warn("workers: takes effect at the next start; there are {size} now", size=self.size)

    def _become(self, config: Config) -> None:
        self.config = config
        for name in ("process", *(f"listener/{name}" for name in config.listeners)):
            self.slots.slot(name)
        self.decisions.become(config)
        pools = self.decisions.pools.values()
        self.slots.reclaim(
            {"process", *(f"listener/{name}" for name in config.listeners)}
            | {counter(pool.name, backend) for pool in pools for backend in ("", *pool.backends)}
        )

    def _close(self, descriptions: Iterable[str]) -> Deferred[Any]:
        return DeferredList([self.ports.close(description) for description in list(descriptions)])

    # What workers hear and say

    def _hello(self, number: int) -> tuple[Message, list[int]]:
        ports = list(self.ports.bound)
        message = {
            "do": "hello",
            "columns": self.size,
            "slots": self.slots.by_name,
            "key": self._key.hex(),
            "text": self._text,
            "file": self.config.file,
            "ports": ports,
            "decided": self.decisions.export(),
            "hold": self._holding,
        }
        return message, [self.table.fd, *self.ports.descriptors(number, ports)]

    def _told(self, worker: Worker, message: Message) -> None:
        if message["do"] == "met":
            self.decisions.met(message["verdicts"])
        elif message["do"] == "plugin_failed":
            self._plugin_failed(PluginFailed(**message["event"]))
        elif message["do"] == "access_log_lost":
            self.bus.publish(AccessLogLost(**message["event"]))

    def _left(self, worker: Worker) -> None:
        if self._control is not None:
            self._control.left(worker)

    def _plugin_failed(self, event: PluginFailed) -> None:
        key, now = (event.kind, event.name), self.clock.seconds()
        if now - self._failed.get(key, -QUIET) >= QUIET:
            self._failed[key] = now
            self.bus.publish(event)

    def _obey(self, pool: str, command: list[Any]) -> None:
        self._tell_slots()
        self.crew.tell({"do": "obey", "pool": pool, "command": command})

    def _tell_slots(self) -> None:
        if untold := self.slots.untold():
            self.crew.tell({"do": "slots", "slots": untold})

    def _gauge(self, name: str, limit: int | None) -> Any:
        self.slots.slot(name)
        return self._counts.gauge(name, limit)

    def _objection(self, pool: str, connect: str) -> str | None:
        specs = [spec for spec in self.config.listeners.values() if spec.pool == pool]
        return next(filter(None, (self._engines.objection(spec, [connect]) for spec in specs)), None)

    def reopen(self) -> None:
        """The access log was rotated: all workers go on in a new file."""
        self.crew.tell({"do": "reopen"})

    # From one process to another

    def export(self) -> dict[str, Any]:
        """What was decided, for another process."""
        return self.decisions.export()

    def restore(self, decided: Mapping[str, Any]) -> None:
        """What another process had decided holds from now on, here and in the workers."""
        self.decisions.restore(decided)
        self._tell_slots()
        self.crew.tell({"do": "restore", "decided": decided})

    def hand_over(self) -> None:
        """Another process has the same sockets: let it have those who wait there. A drain is to follow."""
        self.ports.leave()
        self.crew.tell({"do": "hand_over"})

    # The end

    @inlineCallbacks
    def drain(self) -> Any:
        """Accept no more, and fire when every worker has ended; connections that have not at `drain_timeout` are
        reset."""
        drained = self.crew.drain()
        yield self._close(self.ports.bound)
        late = self.clock.callLater(self.config.drain_timeout + GRACE, self.crew.stop)
        yield drained
        if late.active():
            late.cancel()
        self._let_go()

    @inlineCallbacks
    def stop(self) -> Any:
        """Let go of everything now."""
        yield self.crew.stop()
        yield self._close(self.ports.bound)
        self._let_go()

    def _let_go(self) -> None:
        self.decisions.stop()
        for listener in self.config.listeners:
            self._engines.stop(listener)


def _text_of(config: Config) -> str:
    """The file as the workers will read it; raises TxlbError where it is not any more what this came from."""
    text = read_text(config.file)
    if parse(text, config.file) != config:
        raise TxlbError(f"{config.file} changed while it was being read")
    return text
