"""Starts a worker process: a Python of its own, which finds the same modules where this one does.

It gets standard output and error, and the other end of the channel as descriptor 3. Everything else comes over the
channel. It is told to look for modules exactly where the parent found them, not in the folder it is started in.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.python.failure import Failure

from txlb.workers.channel import Channel, Message

CHANNEL = 3
"""The descriptor at which a worker finds its channel."""

NUMBER = "TXLB_WORKER"
"""The environment variable that tells a worker, and the plugins in it, its number."""


@define(eq=False)
class Spawned:
    """A running worker process."""

    pid: int
    channel: Channel

    def kill(self) -> None:
        """End it at once, also where it is stopped. Only called until its end was told, so that the pid is still its."""
        os.kill(self.pid, signal.SIGKILL)


@frozen
class Spawner:
    """`arguments` follow the interpreter; `output` is the descriptor that workers write their log to."""

    reactor: Any
    arguments: Sequence[str]
    output: int = 1

    def __call__(
        self, number: int, told: Callable[[Message, list[int]], object], ended: Callable[[str], object]
    ) -> Spawned:
        """Start worker `number`. `ended(reason)` is called when the process is gone, and nothing after that."""
        ours, theirs = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            process = self.reactor.spawnProcess(
                ProcessEnd(ended),
                sys.executable,
                [sys.executable, "-P", *self.arguments],
                env=_environment(number),
                childFDs={0: nothing, 1: self.output, 2: 2, CHANNEL: theirs.fileno()},
            )
            channel = open_channel(self.reactor, ours.fileno(), told, lambda: None)
        finally:
            os.close(nothing)
            ours.close()
            theirs.close()
        return Spawned(process.pid, channel)


def open_channel(
    reactor: Any, descriptor: int, told: Callable[[Message, list[int]], object], ended: Callable[[], object]
) -> Channel:
    """A channel over this descriptor, which is duplicated."""
    os.set_blocking(descriptor, False)
    channel = Channel(told, ended)
    reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, _One(channel))
    return channel


@define(eq=False)
class _One(Factory):
    channel: Channel
    noisy = False

    def buildProtocol(self, addr: Any) -> Channel:
        return self.channel


@define(eq=False)
class ProcessEnd(ProcessProtocol):
    """Tells how a process ended, in words."""

    ended: Callable[[str], object]
    transport: Any = field(default=None, init=False)

    def processEnded(self, reason: Failure) -> None:
        self.ended(_words(reason))


def _words(reason: Failure) -> str:
    error = reason.value
    if isinstance(error, ProcessTerminated):
        if error.signal is not None:
            return f"was ended by {signal.Signals(error.signal).name}"
        return f"ended with exit code {error.exitCode}"
    return "ended with exit code 0"


def _environment(number: int) -> dict[str, str]:
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, NUMBER: str(number)}
