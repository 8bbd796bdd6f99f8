"""One worker process of several: `python -m txlb.service.worker REACTOR FORMAT LEVEL`, started by the parent.

It has a `Balancer` like that of a single process, with ports it is given, limits that are shared, and no health checks.
The parent tells it by `do`:

    hello       what it is and begins with: the configuration, the ports, all that was decided so far
    slots       names of counters that are new
    prepare     can you apply this configuration? answered, with `why` where not; then follows either of
    apply       do so; answered
    forget      do not
    obey        a command for the pool of a name
    restore     what another parent had decided holds here too
    serve       accept, where the hello said to hold it until all are ready
    hand_over   the workers of another parent accept on the same sockets; a drain follows
    figures     what have you counted?
    ping        have you done all I said before?
    reopen      the access log was rotated
    drain       end when your connections have

It ends at once when the parent does. Signals that an operator sends to the whole group are the parent's.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, cast

from attrs import asdict
from twisted.internet.defer import Deferred, fail, inlineCallbacks, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import namedModule

from txlb.access_log import AccessLog
from txlb.clock import SteadyClock
from txlb.config import parse
from txlb.errors import INTERNAL_FAILURE, TxlbError
from txlb.events import AccessLogLost, PluginFailed
from txlb.service.balancer import Balancer
from txlb.service.control import LocalControl
from txlb.service.limits import most_connections, raise_descriptor_limit
from txlb.service.shared_ports import WorkerPorts
from txlb.specs import Config
from txlb.workers.channel import Message
from txlb.workers.following import Follower
from txlb.workers.gauges import Gauges
from txlb.workers.logs import Logs, begin
from txlb.workers.remote import Remote
from txlb.workers.spawning import CHANNEL, NUMBER, open_channel
from txlb.workers.table import HEARTBEAT, Table
from txlb.workers.ticking import Ticking

log = Logger()

EVENTS: dict[type, str] = {PluginFailed: "plugin_failed", AccessLogLost: "access_log_lost"}
"""What happens in a worker and is told to the parent, whose operators listen."""

_PR_SET_PDEATHSIG = 1


class Worker:
    """Does what the parent says; see the module."""

    def __init__(self, reactor: Any, number: int) -> None:
        self.number = number
        self._reactor = reactor
        self._ports = WorkerPorts(reactor)
        self._slots: dict[str, int] = {}
        self._prepared: tuple[int, Config] | None = None
        self.balancer: Balancer
        self._channel = open_channel(reactor, CHANNEL, self.told, lambda: os._exit(INTERNAL_FAILURE))
        os.close(CHANNEL)

    def told(self, message: Message, descriptors: list[int]) -> None:
        """The parent said this."""
        do = getattr(self, f"_do_{message['do']}")
        answer = maybeDeferred(do, message, descriptors) if descriptors else maybeDeferred(do, message)
        if "id" in message:
            answer.addErrback(lambda failure: {"why": failure.getErrorMessage()})
            answer.addCallback(lambda said: self._tell({**(said or {}), "re": message["id"]}))
        answer.addErrback(self._failed, message["do"])

    def _tell(self, message: Message) -> None:
        self._channel.tell(message)

    def _failed(self, failure: Failure, what: str) -> None:
        """A worker that could not do as it was told is not what the parent takes it for."""
        log.failure("Cannot do {what}", failure, what=what)
        self._tell({"do": "cannot", "why": f"{type(failure.value).__name__}: {failure.value}"})
        self._channel.transport.loseConnection()
        self._reactor.callLater(1.0, os._exit, INTERNAL_FAILURE)

    def _do_hello(self, message: Message, descriptors: list[int]) -> Deferred[None]:
        table = Table(descriptors[0], message["columns"])
        self._slots.update(message["slots"])
        self._ports.give(dict(zip(message["ports"], descriptors[1:], strict=True)))
        self._ticking = Ticking(SteadyClock(self._reactor), self._beat, self._look)
        key = bytes.fromhex(message["key"])
        gauges = Gauges(table, self.number, self._slots, key, self._soon, self._ticking.before_accepting)
        config = parse(message["text"], message["file"])
        self.balancer = Balancer(
            self._reactor,
            ports=self._ports,
            most_connections=most_connections(raise_descriptor_limit()),
            make_gauge=gauges.gauge,
            make_clients=gauges.clients,
            checks_health=False,
        )
        self._control = LocalControl(self.balancer, lambda: fail(TxlbError("the parent reloads")))
        self._table = table
        self._remote = Remote(table, self.number, self._slots, lambda: self.balancer.pools)
        self._follower = Follower(
            lambda: self.balancer.pools,
            lambda verdicts: self._tell({"do": "met", "verdicts": verdicts}),
            self._ticking.soon,
        )
        for kind, do in EVENTS.items():
            self.balancer.bus.subscribe(kind, lambda event, do=do: self._tell({"do": do, "event": asdict(event)}))  # type: ignore[misc]
        self._access_log = AccessLog(self.balancer.bus, self.balancer.clock)
        self._access_log.configure(config.access_log)
        return self.balancer.start(config).addCallback(self._started, message)

    def _started(self, _: object, message: Message) -> None:
        self.balancer.restore(message["decided"])
        if message["hold"]:
            self.balancer.pause()
        self._follower.follow()
        gc.collect()
        gc.freeze()
        self._ticking.start()
        self._tell({"do": "ready"})

    def _do_slots(self, message: Message) -> None:
        self._slots.update(message["slots"])
        self._remote.renamed()

    def _do_prepare(self, message: Message, descriptors: list[int] = []) -> None:  # noqa: B006
        self._ports.give(dict(zip(message["ports"], descriptors, strict=True)))
        self._prepared = message["number"], parse(message["text"], message["file"])

    def _do_forget(self, message: Message) -> None:
        self._prepared = None
        self._ports.take_back()

    def _do_apply(self, message: Message) -> Deferred[None]:
        assert self._prepared is not None and self._prepared[0] == message["number"]
        (_, config), self._prepared = self._prepared, None
        return self.balancer.reload(config).addCallback(self._reloaded, config)

    def _reloaded(self, _: object, config: Config) -> None:
        self._access_log.configure(config.access_log)
        self._follower.follow()
        self._remote.renamed()

    def _do_obey(self, message: Message) -> None:
        self._follower.obey(message["pool"], message["command"])
        if message["command"][0] in ("add", "remove", "restore"):
            self._remote.renamed()

    @inlineCallbacks
    def _do_figures(self, message: Message) -> Any:
        state = yield self._control.state()
        measurements = yield self._control.measurements()
        return {"state": state, "measurements": measurements}

    def _do_restore(self, message: Message) -> None:
        self.balancer.restore(message["decided"])
        self._remote.renamed()

    def _do_serve(self, message: Message) -> None:
        self.balancer.resume()

    def _do_hand_over(self, message: Message) -> None:
        self.balancer.hand_over()

    def _do_ping(self, message: Message) -> None:
        """All that was said before was done before this is answered."""

    def _do_drain(self, message: Message) -> Deferred[None]:
        return self.balancer.drain().addCallback(self._drained)

    def _drained(self, _: object) -> None:
        self._access_log.stop()
        self._reactor.stop()

    def _do_reopen(self, message: Message) -> None:
        self._access_log.reopen()

    def _beat(self) -> None:
        self._table.cells[self.number][HEARTBEAT] += 1

    def _look(self) -> bool:
        """See what the others do, and report; returns whether somebody waits for what they do next."""
        balancer = self.balancer
        changed = self._remote.look()
        self._follower.report()
        # A listener may have paused for places that another worker had set aside for a moment only: then the counters are
        # by now as they were at the last look, and nothing seems to have changed.
        paused = any(listener.paused for listener in balancer.listeners.values())
        if (changed or paused) and not balancer.draining:
            balancer.room_made()
        return (
            self._follower.suspects
            or any(pool.queued for pool in balancer.pools.values())
            or any(listener.paused or listener.room() <= 0 for listener in balancer.listeners.values())
        )

    def _soon(self, call: Callable[[], None]) -> None:
        self._reactor.callLater(0, call)


def main(arguments: list[str]) -> None:
    """The process. `arguments`: the reactor's module, and the format and level of the log."""
    reactor_module, format, level = arguments
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(ignored, signal.SIG_IGN)
    namedModule(reactor_module).install()
    from twisted.internet import reactor  # noqa: TID251 (it was chosen here)

    number = int(os.environ[NUMBER])
    begin(number, Logs(format, level), sys.stdout)
    Worker(reactor, number)
    cast(Any, reactor).run(installSignalHandlers=False)


if __name__ == "__main__":
    main(sys.argv[1:])
