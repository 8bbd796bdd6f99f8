"""How an operator's signals reach the balancer.

SIGHUP reloads, SIGUSR1 reopens the access log, SIGUSR2 has a new process take over. SIGTERM and SIGINT drain, and the process then ends with 0; a second one
ends it at once with 128 and its number. Twisted installs handlers of its own when the reactor starts, so these have to be installed after that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from attrs import define
from twisted.logger import Logger

log = Logger()


@define
class Signals:
    """Calls these in the reactor's thread."""

    reactor: Any
    reload: Callable[[], object]
    drain: Callable[[], object]
    reopen: Callable[[], object]
    upgrade: Callable[[], object]
    _ending: bool = False
    _hup_pending: bool = False

    def install(self) -> None:
        """Take the signals over, in the main thread: those that would kill the process at once, since the first port may
        be seen to listen any moment; SIGTERM and SIGINT when the reactor runs, which sets its own at its start."""
        signal.signal(signal.SIGHUP, self._hup)
        signal.signal(signal.SIGUSR1, self._usr1)
        signal.signal(signal.SIGUSR2, self._usr2)
        self.reactor.callWhenRunning(self._install_ends)

    def _install_ends(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def _hup(self, number: int, frame: FrameType | None) -> None:
        if not self._hup_pending:
            self._hup_pending = True
            self.reactor.callFromThread(self._reload)

    def _reload(self) -> None:
        self._hup_pending = False  # first: whoever signals from now on may have written a newer file
        self.reload()

    def _usr1(self, number: int, frame: FrameType | None) -> None:
        self.reactor.callFromThread(self.reopen)

    def _usr2(self, number: int, frame: FrameType | None) -> None:
        self.reactor.callFromThread(self.upgrade)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            os._exit(128 + number)
        self._ending = True
        self.reactor.callFromThread(self._drain, signal.Signals(number).name)

    def _drain(self, name: str) -> None:
        log.info("{name}: draining; the same again ends at once", name=name)
        self.drain()
