"""The balancer of several workers as a Twisted service: what `twist txlb` runs where `workers` is more than 1."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.logger import Logger, LogLevel

from txlb.service.inheriting import Inheritance
from txlb.service.parent import Parent
from txlb.service.roles import AnyAccessLog, AnyBalancer
from txlb.service.running import BalancerService
from txlb.specs import AccessLogSpec, Config
from txlb.workers.logs import Logs

log = Logger()


class WorkersService(BalancerService):
    """The same in all but what it runs."""

    def __init__(
        self, config: Config, reactor: Any, logs: Logs, size: int, inherited: Inheritance | None = None
    ) -> None:
        super().__init__(config, reactor, inherited)
        self._logs = logs
        self._size = size

    def _make_balancer(self) -> AnyBalancer:
        decided = self._inherited.decided if self._inherited is not None else None
        # The parent probes while its workers start, and has nothing better to do then than to load the admin.
        self._reactor.callWhenRunning(self._admin.listen_in)
        return Parent(self._reactor, self._size, self._logs, self._given, decided)

    def _make_access_log(self) -> AnyAccessLog:
        assert isinstance(self.balancer, Parent)
        return WorkersAccessLogs(self.balancer)

    def _make_control(self) -> Any:
        assert isinstance(self.balancer, Parent)
        return self.balancer.control(self.read_again)


@frozen
class WorkersAccessLogs:
    """Each worker writes the access log itself, as the configuration says that it is told."""

    _parent: Parent

    def configure(self, spec: AccessLogSpec | None) -> None:
        """The workers' part."""

    def reopen(self) -> None:
        """All workers go on in a new file."""
        self._parent.reopen()

    def stop(self) -> None:
        """The workers' part."""


def make_service(
    config: Config, reactor: Any, options: Mapping[str, Any] | None, inherited: Inheritance | None = None
) -> BalancerService:
    """The service for as many workers as are asked for, and no fewer than share the sockets that were inherited: each
    socket has a queue that somebody has to serve. `options` are `twist`'s own."""
    asked = how_many(config)
    size = max(asked, inherited.workers) if inherited is not None else asked
    if size > asked:
        log.warn("workers: {asked} take effect at a restart; an upgrade keeps {size}", asked=asked, size=size)
    if size == 1:
        return BalancerService(config, reactor, inherited)
    return WorkersService(config, reactor, _logs(options), size, inherited)


def how_many(config: Config) -> int:
    """Workers that this configuration asks for: `auto` is one for each processor that this process may use."""
    return config.workers or len(os.sched_getaffinity(0))


def _logs(options: Mapping[str, Any] | None) -> Logs:
    """How `twist` logs, by its own options; how it does unless told otherwise, where they are not there."""
    options = options or {}
    level = options.get("logLevel", LogLevel.info)
    return Logs(options.get("logFormat", "text"), level.name, _descriptor(options.get("logFile")))


def _descriptor(file: Any) -> int:
    try:
        return int(file.fileno())
    except (AttributeError, OSError):
        return 1
