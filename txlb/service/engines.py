"""Which engine serves a listener.

Each listener has instances of its own, so that what one listener dials, and with which socket options, is no other's
business. An instance stays until its listener goes, because connections on it may outlive a change of engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from txlb.engines.epoll import EpollEngine
from txlb.engines.reactor import ReactorEngine
from txlb.interfaces import IEngine
from txlb.proxy.listener import Listener
from txlb.proxy.pair import REACHING
from txlb.specs import ListenerSpec

MAKERS: dict[str, Callable[[Any, IReactorTime], IEngine]] = {"epoll": EpollEngine, "reactor": ReactorEngine}
"""By name, in the order of preference for `auto`."""


@define
class Engines:
    """Makes and keeps them."""

    reactor: Any
    clock: IReactorTime
    _made: dict[tuple[str, str], IEngine] = field(factory=dict)

    def choose(self, spec: ListenerSpec, connects: Iterable[str]) -> IEngine:
        """The engine for this listener and all that its pool dials."""
        connects = list(connects)
        names = list(MAKERS) if spec.engine == "auto" else [spec.engine]
        engines = [self._engine(spec.name, name) for name in names]
        return next((e for e in engines if e.objection(spec.listen, connects) is None), engines[-1])

    def prepare(self, engine: IEngine, connects: set[str], spec: ListenerSpec, listeners: Iterable[Listener]) -> None:
        """Have this engine ready to dial these for that listener. Connections that are on their way to a backend keep the
        pool and the engine that they began with, also on a listener of that name that is leaving. An engine that has no
        more to dial for it forgets what it knew, lest it resolves names for nobody."""
        named = [listener for listener in listeners if listener.name == spec.name]
        pairs = [pair for listener in named for pair in listener.pairs()]
        reaching = [pair for pair in pairs if pair.state == REACHING]
        for pool in {pair.pool for pair in reaching}:
            connects = connects | {backend.spec.connect for backend in pool.backends.values()}
        accepting = [listener.engine for listener in named if listener.acceptors]
        dialling = {engine, *accepting, *(pair.engine for pair in reaching)}
        for (name, _), each in self._made.items():
            if name == spec.name:
                each.prepare(connects if each in dialling else set(), spec.timeouts)

    def objection(self, spec: ListenerSpec, connects: Iterable[str]) -> str | None:
        """Why the engine that was asked for cannot serve that; None where it can, or where another may be taken."""
        return None if spec.engine == "auto" else self.choose(spec, ()).objection(spec.listen, connects)

    def stop(self, listener: str) -> None:
        """That listener is gone, and so are its connections."""
        for key in [key for key in self._made if key[0] == listener]:
            self._made.pop(key).stop()

    def _engine(self, listener: str, name: str) -> IEngine:
        key = listener, name
        if key not in self._made:
            self._made[key] = MAKERS[name](self.reactor, self.clock)
        return self._made[key]
