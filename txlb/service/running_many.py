"""The balancer of several workers as a Twisted service: what `twist txlb` runs where `workers` is more than 1."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.logger import LogLevel

from txlb.service.parent import Parent
from txlb.service.running import AnyAccessLog, AnyBalancer, BalancerService
from txlb.specs import AccessLogSpec, Config
from txlb.workers.logs import Logs


class WorkersService(BalancerService):
    """The same in all but what it runs."""

    def __init__(self, config: Config, reactor: Any, logs: Logs) -> None:
        super().__init__(config, reactor)
        self._logs = logs

    def _make_balancer(self) -> AnyBalancer:
        return Parent(self._reactor, how_many(self._config), self._logs)

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


def make_service(config: Config, reactor: Any, options: Mapping[str, Any] | None) -> BalancerService:
    """The service for as many workers as are asked for. `options` are `twist`'s own."""
    if how_many(config) == 1:
        return BalancerService(config, reactor)
    return WorkersService(config, reactor, _logs(options))


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
