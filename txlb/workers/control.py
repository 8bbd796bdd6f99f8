"""Many workers as operators see them: one balancer, with the workers as a detail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, execute, inlineCallbacks
from twisted.logger import Logger
from zope.interface import implementer

from txlb.events import EventBus
from txlb.interfaces import IControl
from txlb.model.asked import Asked
from txlb.specs import BackendSpec, Config
from txlb.workers import figures
from txlb.workers.crew import Crew, Worker
from txlb.workers.decisions import Decisions
from txlb.workers.remote import Remote
from txlb.workers.slots import Slots
from txlb.workers.table import Table

log = Logger()

PATIENCE = 1.0
"""Seconds to wait for workers' figures and acknowledgements; of one that is late, the last ones are shown."""


@implementer(IControl)
@define
class WorkersControl:
    """`read_again` reads the configuration file and has all workers apply it; a Deferred. `objection(pool, connect)`
    says why a backend cannot join; `config()` is the configuration that holds, `listeners()` what it says of them in the
    form of the state."""

    bus: EventBus
    decisions: Decisions
    crew: Crew
    table: Table
    slots: Slots
    config: Callable[[], Config]
    listeners: Callable[[], figures.Figures]
    read_again: Callable[[], Deferred[None]]
    objection: Callable[[str, str], str | None]
    departed: figures.Figures | None = None
    _remote: Remote = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._remote = Remote(self.table, None, self.slots.by_name, lambda: self.decisions.pools)

    def ready(self) -> bool:
        pools = self.decisions.pools
        return (
            not self.crew.ending
            and bool(self.crew.serving)
            and all(pools[spec.pool].offered for spec in self.config().listeners.values())
        )

    def draining(self) -> bool:
        return self.crew.ending

    @inlineCallbacks
    def state(self) -> Any:
        yield self._ask()
        self._look()
        pools = {name: pool.snapshot() for name, pool in self.decisions.pools.items()}
        decided = {"listeners": self.listeners(), "pools": pools}
        state = figures.state(decided, self._known(), self.departed, self._open())
        return {**state, "workers": [self._detail(worker) for worker in self._workers()]}

    @inlineCallbacks
    def measurements(self) -> Any:
        yield self._ask()
        self._look()
        decided = {name: pool.measurements() for name, pool in self.decisions.pools.items()}
        measured = figures.measurements(decided, self._known(), self.departed, self._open())
        return {**measured, "workers": [self._detail(worker) for worker in self._workers()]}

    def explain(self, pool: str, client: str) -> Deferred[dict[str, Any]]:
        self._look()
        return execute(lambda: self.decisions.named(pool).explain(Asked(client)))

    def set_admin(self, pool: str, backend: str, state: str, by: str) -> Deferred[None]:
        return self._operate(pool, "set_admin", backend, state, by)

    def set_weight(self, pool: str, backend: str, weight: int, by: str) -> Deferred[None]:
        return self._operate(pool, "set_weight", backend, weight, by)

    def add(self, pool: str, backend: BackendSpec, by: str) -> Deferred[None]:
        if pool in self.decisions.pools and (objection := self.objection(pool, backend.connect)):
            return execute(_refuse, objection)
        return self._operate(pool, "add", backend, by)

    def remove(self, pool: str, backend: str, by: str) -> Deferred[None]:
        return self._operate(pool, "remove", backend, by)

    def reload(self, by: str) -> Deferred[None]:
        log.info("{by} asks for a reload", by=by)
        return self.read_again()

    def left(self, worker: Worker) -> None:
        """A worker has ended: what it was last seen to have counted stays counted."""
        if worker.figures is not None:
            counted = figures.counters(worker.figures)
            self.departed = figures.add([self.departed, counted]) if self.departed else counted

    @inlineCallbacks
    def _operate(self, pool: str, command: str, *arguments: Any) -> Any:
        self.decisions.operate(pool, command, *arguments)
        yield self.crew.ask({"do": "ping"}, PATIENCE)  # answered after the command was carried out

    @inlineCallbacks
    def _ask(self) -> Any:
        answers = yield self.crew.ask({"do": "figures"}, PATIENCE)
        for number, answer in answers.items():
            if number in self.crew.workers and "state" in answer:
                self.crew.workers[number].figures = answer

    def _look(self) -> None:
        """Have the parent's pools see what the workers hold."""
        self._remote.renamed()
        self._remote.look()

    def _open(self) -> dict[str, int]:
        return {name: self.table.total(slot) for name, slot in self.slots.by_name.items()}

    def _workers(self) -> list[Worker]:
        return [worker for _, worker in sorted(self.crew.workers.items())]

    def _known(self) -> list[figures.Figures]:
        return [worker.figures for worker in self._workers() if worker.figures is not None]

    def _detail(self, worker: Worker) -> dict[str, Any]:
        about = {"number": worker.number, "pid": worker.spawned.pid, "ready": worker.ready}
        return about | (figures.detail(worker.figures) if worker.figures is not None else {})


def _refuse(objection: str) -> None:
    raise ValueError(objection)
