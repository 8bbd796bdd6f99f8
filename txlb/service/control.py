"""One process's balancer as its operators see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, execute, succeed
from twisted.logger import Logger
from zope.interface import implementer

from txlb.clock import in_slices
from txlb.events import EventBus
from txlb.interfaces import IControl
from txlb.model.asked import Asked
from txlb.model.pool import Pool
from txlb.model.report import snapshot_steps
from txlb.service.balancer import Balancer
from txlb.specs import BackendSpec

log = Logger()


@implementer(IControl)
@frozen
class LocalControl:
    """`read_again` reads the configuration file and applies it; a Deferred."""

    balancer: Balancer
    read_again: Callable[[], Deferred[None]]

    @property
    def bus(self) -> EventBus:
        return self.balancer.bus

    def ready(self) -> bool:
        return self.balancer.ready()

    def draining(self) -> bool:
        return self.balancer.draining

    def state(self) -> Deferred[dict[str, Any]]:
        found: dict[str, Any] = {}
        return in_slices(self.balancer.clock, self._state_steps(found)).addCallback(lambda _: found)

    def _state_steps(self, found: dict[str, Any]) -> Iterator[None]:
        listeners, pools = tuple(self.balancer.listeners.items()), tuple(self.balancer.pools.items())
        found["listeners"] = {name: listener.snapshot() for name, listener in listeners}
        found["pools"] = {name: {} for name, _ in pools}
        for name, pool in pools:
            yield from snapshot_steps(pool, found["pools"][name])

    def measurements(self) -> Deferred[dict[str, Any]]:
        return succeed(self.balancer.measurements())

    def explain(self, pool: str, client: str) -> Deferred[dict[str, Any]]:
        return execute(lambda: self._pool(pool).explain(Asked(client)))

    def set_admin(self, pool: str, backend: str, state: str, by: str) -> Deferred[None]:
        return execute(lambda: self._pool(pool).set_admin(backend, state, by))

    def set_weight(self, pool: str, backend: str, weight: int, by: str) -> Deferred[None]:
        return execute(lambda: self._pool(pool).set_weight(backend, weight, by))

    def add(self, pool: str, backend: BackendSpec, by: str) -> Deferred[None]:
        return execute(self._add, pool, backend, by)

    def _add(self, pool: str, backend: BackendSpec, by: str) -> None:
        running = self._pool(pool)
        if objection := self.balancer.objection(pool, backend.connect):
            raise ValueError(objection)
        running.add(backend, by)

    def remove(self, pool: str, backend: str, by: str) -> Deferred[None]:
        return execute(lambda: self._pool(pool).remove(backend, by))

    def reload(self, by: str) -> Deferred[None]:
        log.info("{by} asks for a reload", by=by)
        return self.read_again()

    def _pool(self, name: str) -> Pool:
        if name not in self.balancer.pools:
            raise KeyError(f"no pool is named {name}; there are {', '.join(self.balancer.pools)}")
        return self.balancer.pools[name]
