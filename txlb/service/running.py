"""The balancer as a Twisted service: what `twist txlb` runs."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, gatherResults, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb.access_log import AccessLog
from txlb.checks import load_in_turns
from txlb.errors import INTERNAL_FAILURE, PORT_UNAVAILABLE, ConfigError, TxlbError
from txlb.events import Reloaded
from txlb.service.admin import AdminPort
from txlb.service.adopting import Given, discard
from txlb.service.balancer import Balancer
from txlb.service.control import LocalControl
from txlb.service.inheriting import Inheritance
from txlb.service.limits import most_connections, raise_descriptor_limit
from txlb.service.ports import Ports, PortUnavailable
from txlb.service.roles import AnyAccessLog, AnyBalancer
from txlb.service.sd_notify import Notifier
from txlb.service.signals import Signals
from txlb.service.state_log import log_states
from txlb.service.telling import count, tell_of_listeners
from txlb.service.turns import Shared
from txlb.service.upgrade import STARTING, Upgrade
from txlb.specs import Config
from txlb.units import format_duration

if TYPE_CHECKING:
    from txlb.admin.server import Admin
    from txlb.metrics import Metrics
    from txlb.service.successor import Successor

log = Logger()


class BalancerService(Service):
    """Starts the balancer, reloads it from its file, drains it, and ends the process with the right exit code."""

    name = "txlb"

    def __init__(self, config: Config, reactor: Any, inherited: Inheritance | None = None) -> None:
        self._config = config
        self._inherited = inherited
        self._given: Given = {} if inherited is None else inherited.sockets
        self._reactor = reactor
        self._exit_code: int | None = None
        self._most_connections = 0
        self.balancer: AnyBalancer | None = None
        self._access_log: AnyAccessLog | None = None
        self._metrics: Metrics | None = None
        self._admin = AdminPort(reactor, self._make_admin, self._given)
        self._reloads = DeferredLock()
        self._reading = Shared(self._reloads, self._reread)
        self._notifier = Notifier.of()
        self._upgrade = Upgrade(reactor, self._sockets, self._decided, self._hand_over)
        self._draining = False

    def startService(self) -> None:
        super().startService()
        try:
            self._most_connections = most_connections(raise_descriptor_limit())
        except TxlbError:
            self._fail(Failure())
            raise SystemExit(self._exit_code) from None
        self.balancer = self._make_balancer()
        self._access_log = self._make_access_log()
        self._access_log.configure(self._config.access_log)
        log_states(self.balancer.bus)
        Signals(self._reactor, self.reload, self.drain, self.reopen, self.upgrade).install()
        self._reloads.run(self._start, self.balancer).addCallbacks(self._listening, self._fail)
        if self._exit_code is not None:
            raise SystemExit(self._exit_code)

    def _make_balancer(self) -> AnyBalancer:
        ports = Ports(self._reactor, given=self._given)
        return Balancer(self._reactor, ports=ports, most_connections=self._most_connections)

    def _make_access_log(self) -> AnyAccessLog:
        assert self.balancer is not None
        return AccessLog(self.balancer.bus, self.balancer.clock)

    def _make_control(self) -> Any:
        assert isinstance(self.balancer, Balancer)
        return LocalControl(self.balancer, self.read_again)

    @inlineCallbacks
    def _start(self, balancer: AnyBalancer) -> Any:
        if self._inherited is not None:
            self._inherited.begin(self._reactor)
        yield self._admin.bind(self._config.admin)
        yield balancer.start(self._config)
        if self._inherited is not None:
            yield self._take_over(balancer, self._inherited)
        yield self._admin.become(self._config.admin)

    @inlineCallbacks
    def _take_over(self, balancer: AnyBalancer, inherited: Inheritance) -> Any:
        """Serve beside the process that was before, and then instead of it."""
        balancer.restore(inherited.decided)
        running: Deferred[None] = Deferred()
        self._reactor.callWhenRunning(running.callback, None)
        yield running
        inherited.ready()
        decided = yield inherited.taken
        balancer.restore(decided)
        balancer.ports.own()
        self._admin.own()
        discard(self._given, owned=True)

    def _make_admin(self) -> Admin:
        from txlb.admin.server import Admin  # with twisted.web, which nobody waits for who has no admin
        from txlb.metrics import Metrics

        balancer = self.balancer
        assert balancer is not None
        control = self._make_control()
        self._metrics = Metrics(control, control.bus, balancer.clock)
        self._metrics.applied(balancer.config)
        return Admin(control, self._reactor, balancer.clock, metrics=self._metrics.render, facts=self._facts)

    def _facts(self) -> dict[str, Any]:
        return {"config": self._config.file, "upgrade": self._upgrade.facts()}

    def _listening(self, _: object) -> None:
        assert self.balancer is not None
        for warning in self._config.warnings:
            log.warn("{warning}", warning=warning)
        tell_of_listeners(self._config, self.balancer.engine)
        self._reactor.callWhenRunning(self._tell_ready, self.balancer)
        gc.collect()
        gc.freeze()  # what exists now stays; collections need not look at it again

    def _tell_ready(self, balancer: AnyBalancer) -> None:
        self._notifier.ready(_serving(balancer.config))
        self._notifier.beat(balancer.clock)

    def _fail(self, failure: Failure) -> None:
        """A start that failed. A Deferred swallows SystemExit, so `startService` raises it; where the reactor runs
        already (an endpoint that took its time to listen), there is nobody left to raise it to."""
        if not failure.check(TxlbError):
            failure.printTraceback(file=sys.stderr)
        print(f"txlb: {failure.getErrorMessage()}", file=sys.stderr, flush=True)
        if self._inherited is not None:
            self._inherited.complain(failure.getErrorMessage())
        self._exit_code = PORT_UNAVAILABLE if failure.check(PortUnavailable) else INTERNAL_FAILURE
        if self._reactor.running:
            os._exit(self._exit_code)

    def reload(self) -> Deferred[None]:
        """Read the file again. What is wrong is logged, and the old configuration serves on."""
        return self.read_again().addErrback(lambda failure: None)  # it was logged

    def read_again(self) -> Deferred[None]:
        """Read the file again. Fails with ConfigError or PortUnavailable, which are logged, having changed nothing. Who
        asks while a reload waits for its turn has the result of that one."""
        return self._reading.ask()

    def _reread(self) -> Deferred[None]:
        reread: Deferred[None] = self._read_again()
        return reread.addErrback(self._not_reloaded).addBoth(self._reloaded)

    @inlineCallbacks
    def _read_again(self) -> Any:
        assert self.balancer is not None
        self._refuse_while_draining()
        self._notifier.reloading()
        try:
            config = yield load_in_turns(self._config.file, self._reactor, self.balancer.clock)
            self._refuse_while_draining()
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

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise TxlbError("this process is draining")

    def _not_reloaded(self, failure: Failure) -> Failure:
        if isinstance(failure.value, ConfigError):
            for problem in failure.value.problems:
                log.error("Not reloaded: {problem}", problem=str(problem))
        elif failure.check(TxlbError):
            log.error("Not reloaded: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("Not reloaded", failure)
        return failure

    def _reloaded(self, result: Any) -> Any:
        if self.balancer is not None and not self._draining:
            why = f"; not reloaded: {result.getErrorMessage()}" if isinstance(result, Failure) else ""
            self._notifier.ready(_serving(self.balancer.config) + why)
        return result

    def reopen(self) -> None:
        """The access log was rotated: write to a new file."""
        if self._access_log is not None:
            self._access_log.reopen()
            log.info("Reopened the access log")

    def drain(self, besides: Deferred[None] | None = None) -> None:
        """Let the open connections end, and what there is `besides`, then the process."""
        if self._draining:
            return
        self._draining = True
        self._upgrade.cancel()
        assert self.balancer is not None
        connections = count(self.balancer.open, "open connection")
        seconds = format_duration(self.balancer.config.drain_timeout)
        log.info("Draining {open}, for {seconds} at most", open=connections, seconds=seconds)
        self._notifier.stopping(f"draining {connections}")
        drained = gatherResults([self.balancer.drain(), besides or succeed(None)], consumeErrors=True)
        drained.addErrback(lambda failure: log.failure("While draining", failure))
        drained.addCallback(lambda _: self._reactor.stop())

    def upgrade(self) -> None:
        """Have a process of what lies on the disk now take over, after a reload that is on its way."""
        if self._draining or self._upgrade.under_way:
            why = "this process is draining" if self._draining else "an upgrade is under way"
            log.warn("Not upgraded: {why}", why=why)
            return
        assert self.balancer is not None
        self._upgrade.state = STARTING
        self._notifier.status("a new process starts, to take over")
        self._reloads.run(self._upgrade.run, self.balancer.clock).addCallback(self._upgraded, self.balancer)

    def _upgraded(self, _: object, balancer: AnyBalancer) -> None:
        if not self._draining:
            self._notifier.status(f"{_serving(balancer.config)}; not upgraded: {self._upgrade.reason}")

    def _sockets(self) -> dict[str, list[int]]:
        assert self.balancer is not None
        return {**self.balancer.ports.sockets(), **self._admin.sockets()}

    def _decided(self) -> dict[str, Any]:
        assert self.balancer is not None
        return self.balancer.export()

    def _hand_over(self, successor: Successor) -> None:
        """In one turn, so that nothing an operator says gets lost between the two."""
        assert self.balancer is not None
        self._notifier.hand_over(successor.pid)
        self._admin.leave()
        self.balancer.hand_over()
        told = successor.take_over(self.balancer.export())
        self.drain(told)

    def stopService(self) -> Any:
        super().stopService()
        return self._stop()

    @inlineCallbacks
    def _stop(self) -> Any:
        self._notifier.stop()
        if self.balancer is not None:
            yield self.balancer.stop()
        yield self._admin.stop()
        if self._access_log is not None:
            self._access_log.stop()
        if self._metrics is not None:
            self._metrics.stop()


def _serving(config: Config) -> str:
    listeners, pools = count(len(config.listeners), "listener"), count(len(config.pools), "pool")
    return f"serving {listeners}, {pools}"
