"""`exec`: a command of yours exits with status 0.

No shell is involved: a string is split like a shell would, a list is taken as it is. The environment holds
`TXLB_POOL`, `TXLB_NAME`, `TXLB_CONNECT`, `TXLB_HOST` and `TXLB_PORT` beside what the balancer itself has. At the timeout the command is killed
together with its process group.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from contextlib import suppress
from typing import Any

from attrs import Attribute, field, frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from txlb.errors import CheckFailed
from txlb.health_checks.addresses import host_and_port
from txlb.health_checks.verdicts import one_line
from txlb.interfaces import IHealthCheck, IProbesByName

_OUTPUT_LIMIT = 1024


def _command(_: Any, attribute: Attribute[Any], value: str | tuple[str, ...]) -> None:
    try:
        empty = not argv(value)
    except ValueError as error:
        raise ValueError(f"cannot be split into words: {error}", attribute) from None
    if empty:
        raise ValueError("must not be empty", attribute)


def argv(command: str | tuple[str, ...]) -> list[str]:
    """The words of a command; raises ValueError for an open quote or a NUL."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if any("\0" in word for word in words):
        raise ValueError("it holds a NUL")
    return words


@implementer(IHealthCheck, IProbesByName)
@frozen
class Exec:
    """Runs a command. What it prints first is the reason that operators see when it fails."""

    reactor: Any = field(repr=False)
    command: str | tuple[str, ...] = field(
        kw_only=True, validator=_command, metadata={"help": "a command, or a list of its words"}
    )

    def probe(self, connect: str) -> Deferred[str]:
        """As `probe_named`, without names."""
        return self.probe_named(connect, "", "")

    def probe_named(self, connect: str, pool: str, backend: str) -> Deferred[str]:
        """Fires with `exit status 0` once the command is over and has closed its output."""
        words = argv(self.command)
        if grouped := shutil.which("setsid"):  # a group of its own, so that its children can be killed with it
            words = [grouped, *words]
        run = _Run()
        names = {"TXLB_POOL": pool, "TXLB_NAME": backend}
        try:
            self.reactor.spawnProcess(run, words[0], words, env={**_environment(connect), **names})
        except FileNotFoundError as error:
            return fail(CheckFailed(f"cannot be started: {error}"))
        return run.done


def _environment(connect: str) -> dict[str, str]:
    host, port = host_and_port(connect)
    return {**os.environ, "TXLB_CONNECT": connect, "TXLB_HOST": host, "TXLB_PORT": port}


class _Run(ProcessProtocol):
    """One run of the command. Ends when it has exited and its output is closed."""

    transport: Any

    def __init__(self) -> None:
        self.done: Deferred[str] = Deferred(self._cancelled)
        self._printed = bytearray()
        self._exit: Failure | None = None
        self._pid: int | None = None

    def connectionMade(self) -> None:
        self._pid = self.transport.pid
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._printed += data[: max(0, _OUTPUT_LIMIT - len(self._printed))]

    def processExited(self, reason: Failure) -> None:
        self._exit = reason

    def processEnded(self, reason: Failure) -> None:
        self._finish(reason)

    def _cancelled(self, _: Deferred[str]) -> None:
        self._kill()
        self.transport.loseConnection()
        if self._exit is not None:  # only a child of it that keeps the output open made it last so long
            self._finish(self._exit)

    def _kill(self) -> None:
        """The group, and the command itself in case that it is not yet in a group of its own."""
        if self._pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def _finish(self, reason: Failure) -> None:
        if self.done.called:
            return
        if reason.check(ProcessDone):
            self.done.callback("exit status 0")
        else:
            self.done.errback(CheckFailed(self._words(reason.value)))

    def _words(self, end: Any) -> str:
        how = f"killed by signal {end.signal}" if end.signal is not None else f"exit status {end.exitCode}"
        printed = one_line(self._printed.decode("utf-8", "replace").strip().partition("\n")[0])
        return f"{how}: {printed}" if printed else how
