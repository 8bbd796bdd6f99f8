"""An upgrade that nobody notices: a new process takes the listening sockets over while both accept.

    old                                          new
    starts it, with the sockets            ►     reads the configuration, adopts the sockets, accepts
    waits                                  ◄     says that it is ready
    tells what was decided meanwhile       ►     serves the admin, owns the files of UNIX sockets
    lets go of the sockets, drains, ends         is the balancer

Until the last step nothing of the old process has changed, so a new one that fails costs a line in the log. It
must be the very same sockets: one of SO_REUSEPORT has a queue of its own, and takes those who wait there along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txlb.service.successor import NotUpgraded, Program, Successor
from txlb.units import parse_duration

log = Logger()

PATIENCE = 30.0
"""Seconds for the new process to be ready. `TXLB_UPGRADE_TIMEOUT` in the environment is another duration."""

IDLE, STARTING, DONE = "idle", "starting", "done"


@define(eq=False)
class Upgrade:
    """The old process's part. `sockets()` are the descriptors by endpoint string, `decided()` what is told the new one,
    and `hand_over(successor)` is called when that is ready: the point of no return."""

    reactor: Any
    sockets: Callable[[], Mapping[str, Sequence[int]]]
    decided: Callable[[], Mapping[str, Any]]
    hand_over: Callable[[Successor], object]
    program: Program = field(factory=Program.running)
    make_successor: Callable[[Any, IReactorTime, float], Successor] = Successor
    state: str = IDLE
    failures: int = 0
    reason: str = ""
    _successor: Successor | None = None

    @property
    def under_way(self) -> bool:
        """Whether a new process was asked for that has not taken over yet."""
        return self.state == STARTING

    def facts(self) -> dict[str, Any]:
        """What operators are told: the state, how often it failed, and why the last time."""
        return {"state": self.state, "failures": self.failures, "reason": self.reason}

    @inlineCallbacks
    def run(self, clock: IReactorTime) -> Any:
        """Start a new process and hand over to it, or log why not. Never fails."""
        try:
            successor = self._successor = self.make_successor(self.reactor, clock, patience())
            successor.start(self.program, self.sockets(), self.decided())
            log.info("Upgrading: started process {pid}", pid=successor.pid)
            yield successor.ready
        except (NotUpgraded, ValueError) as error:
            self.failed(str(error))
            return
        self.state = DONE
        log.info("Upgraded: process {pid} has taken over", pid=successor.pid)
        self.hand_over(successor)

    def failed(self, reason: str) -> None:
        """It came to nothing, and this process goes on."""
        self.state, self.reason = IDLE, reason
        self.failures += 1
        self._successor = None
        log.error("Not upgraded: {reason}", reason=reason)

    def cancel(self) -> None:
        """This process is to end: a new one that is on its way is too."""
        if self.under_way and self._successor is not None:
            self._successor.dismiss("this process ends")


def patience(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds that the new process has. Raises ValueError for what is no duration."""
    said = environment.get("TXLB_UPGRADE_TIMEOUT")
    return PATIENCE if said is None else float(parse_duration(said))
