"""The balancer as a Twisted service: what `twist txlb` runs."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb.access_log import AccessLog
from txlb.checks import load_checked
from txlb.errors import INTERNAL_FAILURE, PORT_UNAVAILABLE, ConfigError, TxlbError
from txlb.events import EventBus, Reloaded
from txlb.service.admin import AdminPort
from txlb.service.balancer import Balancer
from txlb.service.control import LocalControl
from txlb.service.limits import most_connections, raise_descriptor_limit
from txlb.service.ports import PortUnavailable
from txlb.service.signals import Signals
from txlb.service.state_log import log_states
from txlb.specs import AccessLogSpec, Config
from txlb.units import format_duration

if TYPE_CHECKING:
    from txlb.admin.server import Admin
    from txlb.metrics import Metrics

log = Logger()


class AnyBalancer(Protocol):
    """One process's balancer, or the parent of several (`txlb.service.parent`)."""

    bus: EventBus
    clock: IReactorTime
    config: Config

    @property
    def open(self) -> int:
        """Connections that are open now."""

    def engine(self, listener: str) -> str:
        """The name of the engine that serves this listener."""

    def start(self, config: Config) -> Deferred[None]:
        """The first configuration. Fails with PortUnavailable, having started nothing."""

    def reload(self, config: Config) -> Deferred[None]:
        """Another configuration. Fails with PortUnavailable, having changed nothing."""

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


class BalancerService(Service):
    """Starts the balancer, reloads it from its file, drains it, and ends the process with the right exit code."""

    name = "txlb"

    def __init__(self, config: Config, reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._exit_code: int | None = None
        self.balancer: AnyBalancer | None = None
        self._access_log: AnyAccessLog | None = None
        self._metrics: Metrics | None = None
        self._admin = AdminPort(reactor, self._make_admin)
        self._reloads = DeferredLock()

    def startService(self) -> None:
        super().startService()
        self.balancer = self._make_balancer()
        self._access_log = self._make_access_log()
        self._access_log.configure(self._config.access_log)
        log_states(self.balancer.bus)
        self._start(self.balancer).addCallbacks(self._listening, self._fail)
        if self._exit_code is not None:
            raise SystemExit(self._exit_code)
        self._reactor.callWhenRunning(Signals(self._reactor, self.reload, self.drain, self.reopen).install)

    def _make_balancer(self) -> AnyBalancer:
        return Balancer(self._reactor, most_connections=most_connections(raise_descriptor_limit()))

    def _make_access_log(self) -> AnyAccessLog:
        assert self.balancer is not None
        return AccessLog(self.balancer.bus, self.balancer.clock)

    def _make_control(self) -> Any:
        assert isinstance(self.balancer, Balancer)
        return LocalControl(self.balancer, self.read_again)

    @inlineCallbacks
    def _start(self, balancer: AnyBalancer) -> Any:
        yield self._admin.bind(self._config.admin)
        yield balancer.start(self._config)
        yield self._admin.become(self._config.admin)

    def _make_admin(self) -> Admin:
        from txlb.admin.server import Admin  # with twisted.web, which nobody waits for who has no admin
        from txlb.metrics import Metrics

        balancer = self.balancer
        assert balancer is not None
        control = self._make_control()
        self._metrics = Metrics(control, control.bus, balancer.clock)
        self._metrics.applied(balancer.config)
        facts = {"config": self._config.file}
        return Admin(control, self._reactor, balancer.clock, metrics=self._metrics.render, facts=lambda: facts)

    def _listening(self, _: object) -> None:
        assert self.balancer is not None
        for warning in self._config.warnings:
            log.warn("{warning}", warning=warning)
        for spec in self._config.listeners.values():
            pool = self._config.pools[spec.pool]
            log.info(
                "{name}: listening on {listen}, engine {engine}, pool {pool} ({strategy} over {backends})",
                name=spec.name,
                listen=", ".join(spec.listen),
                engine=self.balancer.engine(spec.name),
                pool=pool.name,
                backends=_count(len(pool.backends), "backend"),
                strategy=", ".join(strategy.name for strategy in pool.strategy),
            )
        gc.collect()
        gc.freeze()  # what exists now stays; collections need not look at it again

    def _fail(self, failure: Failure) -> None:
        """A start that failed. A Deferred swallows SystemExit, so `startService` raises it; where the reactor runs
        already (an endpoint that took its time to listen), there is nobody left to raise it to."""
        if not failure.check(TxlbError):
            failure.printTraceback(file=sys.stderr)
        print(f"txlb: {failure.getErrorMessage()}", file=sys.stderr, flush=True)
        self._exit_code = PORT_UNAVAILABLE if failure.check(PortUnavailable) else INTERNAL_FAILURE
        if self._reactor.running:
            os._exit(self._exit_code)

    def reload(self) -> Deferred[None]:
        """Read the file again. What is wrong is logged, and the old configuration serves on."""
        return self.read_again().addErrback(lambda failure: None)  # it was logged

    def read_again(self) -> Deferred[None]:
        """Read the file again. Fails with ConfigError or PortUnavailable, which are logged, having changed nothing."""
        return self._reloads.run(self._read_again).addErrback(self._not_reloaded)

    @inlineCallbacks
    def _read_again(self) -> Any:
        assert self.balancer is not None
        try:
            config = load_checked(self._config.file, self._reactor)
            yield self._admin.bind(config.admin)
        except TxlbError as error:  # the balancer, which tells of its own failures, was not asked yet
            self.balancer.bus.publish(Reloaded(False, str(error).partition("\n")[0]))
            raise
        try:
            yield self.balancer.reload(config)
        except BaseException:
            yield self._admin.discard()
            raise
        assert self._access_log is not None
        self._access_log.configure(config.access_log)
        yield self._admin.become(config.admin)
        if self._metrics is not None:
            self._metrics.applied(config)
        for warning in config.warnings:
            log.warn("{warning}", warning=warning)
        log.info("Reloaded {file}", file=config.file)

    def _not_reloaded(self, failure: Failure) -> Failure:
        if isinstance(failure.value, ConfigError):
            for problem in failure.value.problems:
                log.error("Not reloaded: {problem}", problem=str(problem))
        elif failure.check(PortUnavailable):
            log.error("Not reloaded: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("Not reloaded", failure)
        return failure

    def reopen(self) -> None:
        """The access log was rotated: write to a new file."""
        if self._access_log is not None:
            self._access_log.reopen()
            log.info("Reopened the access log")

    def drain(self) -> None:
        """Let the open connections end, then the process."""
        assert self.balancer is not None
        log.info(
            "Draining {open}, for {seconds} at most",
            open=_count(self.balancer.open, "open connection"),
            seconds=format_duration(self.balancer.config.drain_timeout),
        )
        drained = self.balancer.drain()
        drained.addErrback(lambda failure: log.failure("While draining", failure))
        drained.addCallback(lambda _: self._reactor.stop())

    def stopService(self) -> Any:
        super().stopService()
        return self._stop()

    @inlineCallbacks
    def _stop(self) -> Any:
        if self.balancer is not None:
            yield self.balancer.stop()
        yield self._admin.stop()
        if self._access_log is not None:
            self._access_log.stop()
        if self._metrics is not None:
            self._metrics.stop()


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
