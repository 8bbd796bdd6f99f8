"""What the service asks of its parts, be it one process or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txlb.events import EventBus
from txlb.service.ports import Ports
from txlb.specs import AccessLogSpec, Config


class AnyBalancer(Protocol):
    """One process's balancer, or the parent of several (`txlb.service.parent`)."""

    bus: EventBus
    clock: IReactorTime
    config: Config

    @property
    def ports(self) -> Ports:
        """What it listens on."""

    @property
    def open(self) -> int:
        """Connections that are open now."""

    def engine(self, listener: str) -> str:
        """The name of the engine that serves this listener."""

    def start(self, config: Config) -> Deferred[None]:
        """The first configuration. Fails with PortUnavailable, having started nothing."""

    def reload(self, config: Config) -> Deferred[None]:
        """Another configuration. Fails with PortUnavailable, having changed nothing."""

    def export(self) -> dict[str, Any]:
        """What was decided about backends, for another process."""

    def restore(self, said: Mapping[str, Any]) -> None:
        """What another process had decided holds from now on."""

    def hand_over(self) -> None:
        """Another process has the same sockets; a drain is to follow."""

    def drain(self) -> Deferred[None]:
        """Accept no more, and fire when every connection has ended."""

    def stop(self) -> Deferred[None]:
        """Let go of everything now."""


class AnyAccessLog(Protocol):
    """An access log, or those of several workers."""

    def configure(self, spec: AccessLogSpec | None) -> None:
        """Log as it says from now on."""

    def reopen(self) -> None:
        """The file was rotated."""

    def stop(self) -> None:
        """Write what waits, and log nothing any more."""
