"""The new process of an upgrade, as the old one sees it: started, and watched until it is ready to take over.

It is the same command line in the same folder with the same environment, so what is new is what lies there now: the
code, the interpreter, the configuration. It gets the very sockets that this process listens on, so that for some time
both accept from the same queue (`txlb.service.inheriting` has what they say to each other).

Sockets that systemd passed are passed on as systemd does it, since Twisted's `systemd:` endpoints know no other way.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import parse_endpoint
from txlb.errors import TxlbError
from txlb.service.inheriting import VARIABLE
from txlb.workers.channel import Channel
from txlb.workers.spawning import ProcessEnd, open_channel

FIRST = 3
"""Where inherited descriptors begin: behind standard input, output and error, and where systemd's do."""

AS_SYSTEMD = 'LISTEN_PID=$$ exec "$0" "$@"'
"""A shell's part: only the process itself can know its number before it is the new program."""


class NotUpgraded(TxlbError):
    """The new process cannot take over; the message says why."""


@frozen
class Program:
    """What to start: the interpreter and its arguments, in this folder."""

    executable: str
    arguments: Sequence[str]
    folder: str

    @classmethod
    def running(cls) -> Program:
        """This process's own. The folder is the one that the shell knew, also where that is a link that points to
        another version by now."""
        here, known = str(Path.cwd()), os.environ.get("PWD", "")
        same = bool(known) and Path(known).is_dir() and Path(known).samefile(here)
        return cls(sys.executable, tuple(sys.orig_argv[1:]), known if same else here)


@define
class Luggage:
    """The descriptors and the environment of the new process."""

    environment: MutableMapping[str, str]
    descriptors: dict[int, int] = field(factory=lambda: {number: number for number in range(FIRST)})
    activated: bool = False
    _opened: list[int] = field(factory=list)

    def pack(self, sockets: Mapping[str, Sequence[int]], decided: Mapping[str, Any], channel: int) -> None:
        """Put in all of these."""
        ours = self._pack_activated(sockets)
        said = {
            "sockets": {name: [self._add(n) for n in numbers] for name, numbers in ours.items()},
            "channel": self._add(channel),
            "decided": decided,
        }
        memory = os.memfd_create("txlb-upgrade")
        self._opened.append(memory)
        with open(os.dup(memory), "wb") as file:
            file.write(json.dumps(said).encode())
        os.lseek(memory, 0, os.SEEK_SET)
        self.environment[VARIABLE] = str(self._add(memory))

    def close(self) -> None:
        """Let go of what was opened for it."""
        for descriptor in self._opened:
            os.close(descriptor)
        self._opened.clear()

    def _pack_activated(self, sockets: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
        """Those of systemd come first and at the places where they were; returns the others."""
        names = [name for name in self.environment.get("LISTEN_FDNAMES", "").split(":") if name]
        theirs = {d: numbers for d, numbers in sockets.items() if parse_endpoint(d, SERVER).kind == "systemd"}
        if theirs:
            places = {place_of(description, names): numbers[0] for description, numbers in theirs.items()}
            nothing = os.open(os.devnull, os.O_RDONLY)
            self._opened.append(nothing)
            for place in range(len(names)):
                self._add(places.get(place, nothing))
            self.environment["LISTEN_FDS"] = str(len(names))
            self.activated = True
        return {description: numbers for description, numbers in sockets.items() if description not in theirs}

    def _add(self, descriptor: int) -> int:
        number = max(self.descriptors) + 1
        self.descriptors[number] = descriptor
        return number


def place_of(description: str, names: Sequence[str]) -> int:
    """Which one of the sockets that systemd passed a `systemd:` endpoint string means."""
    values = parse_endpoint(description, SERVER).values
    return int(values["index"]) if "index" in values else names.index(values["name"])


class Successor:
    """`ready` fires when the new process is ready, or fails with NotUpgraded. `patience` is in seconds."""

    def __init__(self, reactor: Any, clock: IReactorTime, patience: float) -> None:
        self.ready: Deferred[None] = Deferred()
        self.told: Deferred[None] = Deferred()
        self.pid = 0
        self._reactor = reactor
        self._channel: Channel
        self._alive = self._heard_all = False
        self._complaint = self._end = ""
        self._late: IDelayedCall = clock.callLater(
            patience, self._give_up, f"the new process was not ready within {patience:g} s", signal.SIGKILL
        )

    def start(self, program: Program, sockets: Mapping[str, Sequence[int]], decided: Mapping[str, Any]) -> None:
        """Start it. What goes wrong comes out of `ready`."""
        ours, theirs = socket.socketpair()
        luggage = Luggage(_environment())
        try:
            luggage.pack(sockets, decided, theirs.fileno())
            command = [program.executable, *program.arguments]
            if luggage.activated:
                command = ["/bin/sh", "-c", AS_SYSTEMD, *command]
            self.pid = self._reactor.spawnProcess(
                ProcessEnd(self._ended),
                command[0],
                command,
                env=luggage.environment,
                path=program.folder,
                childFDs=luggage.descriptors,
            ).pid
            self._alive = True
            self._channel = open_channel(self._reactor, ours.fileno(), self._told, self._channel_ended)
        except (OSError, ValueError) as error:
            self._fail(f"the new process could not be started: {error}")
        finally:
            luggage.close()
            ours.close()
            theirs.close()

    def take_over(self, decided: Mapping[str, Any]) -> Deferred[None]:
        """All is the new process's from now on. Fires when that was sent; this process must not end before."""
        self._channel.tell({"do": "take", "decided": decided})
        self._channel.transport.loseConnection()
        return self.told

    def dismiss(self, why: str) -> None:
        """This process ends: the new one is to end likewise. It may have clients already, and lets them end."""
        self._give_up(why, signal.SIGTERM)

    def _give_up(self, why: str, number: int) -> None:
        if self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
        self._fail(why)

    def _told(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if message["do"] == "failed":
            self._complaint = message["why"]
        elif message["do"] == "ready" and not self.ready.called:
            self._late.cancel()
            self.ready.callback(None)

    def _channel_ended(self) -> None:
        self._heard_all = True
        self.told.callback(None)
        self._fail_if_ended()

    def _ended(self, how: str) -> None:
        self._alive = False
        self._end = how
        self._fail_if_ended()

    def _fail_if_ended(self) -> None:
        """Its last words may be heard after its end."""
        if self._end and self._heard_all:
            words = f": {self._complaint}" if self._complaint else ", which said no more than is written above"
            self._fail(f"the new process {self._end} before it was ready{words}")

    def _fail(self, why: str) -> None:
        if self.ready.called:
            return
        if self._late.active():
            self._late.cancel()
        self.ready.errback(Failure(NotUpgraded(why)))


def _environment() -> dict[str, str]:
    """This process's own, without what systemd said for it alone."""
    return {
        name: value for name, value in os.environ.items() if name not in ("WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS")
    }
