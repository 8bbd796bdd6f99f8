"""What a process gets from the one that it takes over from, and how it tells that one how it fares.

The environment variable `TXLB_INHERIT` names a descriptor of a memory file with JSON: listening sockets by endpoint
string, what was decided about backends, and the descriptor of a channel, over which these say to each other

    {"do": "ready"}                    the new one: I listen, and serve whoever comes
    {"do": "failed", "why": …}         the new one: I cannot
    {"do": "take", "decided": …}       the old one: all is yours; this is what was decided meanwhile

If the old one ends before it has said so, all is the new one's too.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from txlb.service.adopting import Given

VARIABLE = "TXLB_INHERIT"


@define(eq=False)
class Inheritance:
    """`sockets` are there to be taken out; `decided` is for `txlb.model.decided.restore`. `taken` fires with what was
    decided last when the old process has left everything to this one."""

    sockets: Given
    decided: Mapping[str, Any]
    _channel: socket.socket
    taken: Deferred[Mapping[str, Any]] = field(factory=Deferred, init=False)
    _speaking: Any = field(default=None, init=False)

    @property
    def workers(self) -> int:
        """How many workers the old process shares its sockets among."""
        return max(map(len, self.sockets.values()), default=1)

    def begin(self, reactor: Any) -> None:
        """Listen to the old process from now on."""
        from txlb.workers.spawning import open_channel

        self._speaking = open_channel(reactor, self._channel.fileno(), self._told, self._ended)
        self._channel.close()

    def ready(self) -> None:
        """Tell the old process that it can go."""
        self._speaking.tell({"do": "ready"})

    def complain(self, why: str) -> None:
        """Tell the old process why it cannot. Nobody may be left to hear it."""
        message = {"do": "failed", "why": why}
        if self._speaking is not None:
            self._speaking.tell(message)
            self._speaking.transport.doWrite()  # what follows is the end of the process
            return
        with contextlib.suppress(OSError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    def _told(self, message: dict[str, Any], descriptors: list[int]) -> None:
        if message["do"] == "take" and not self.taken.called:
            self.taken.callback(message["decided"])

    def _ended(self) -> None:
        if not self.taken.called:
            self.taken.callback(self.decided)


def inherit(environment: MutableMapping[str, str] = os.environ) -> Inheritance | None:
    """What this process was given, the first time that this is asked; None where it takes over from nobody."""
    number = environment.pop(VARIABLE, None)
    if number is None:
        return None
    with open(int(number), "rb") as file:
        said = json.load(file)
    sockets = {description: [_socket(n) for n in numbers] for description, numbers in said["sockets"].items()}
    return Inheritance(sockets, said["decided"], _socket(said["channel"]))


def _socket(number: int) -> socket.socket:
    """The socket at this descriptor, which no program that is started from here shall have."""
    os.set_inheritable(number, False)
    return socket.socket(fileno=number)
