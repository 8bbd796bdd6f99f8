"""What parent and worker say to each other: JSON, one message a line, over a pair of UNIX sockets.

    {"do": "drain"}                      a message
    {"do": "state", "id": 7}             a question; its answer is {"re": 7, …}
    {"do": "prepare", "descriptors": 3}  a message that three descriptors belong to; they travel beside it, in order

Either end sees the other's death as the end of the stream.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IFileDescriptorReceiver
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

Message = dict[str, Any]

LONGEST = 256 * 1024 * 1024
"""Bytes of one message; a bound against nonsense only."""


@implementer(IFileDescriptorReceiver)
class Channel(LineOnlyReceiver):
    """`told(message, descriptors)` is called with each message, `ended()` when the other end is gone. The descriptors
    are the receiver's to close."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST
    transport: Any

    def logPrefix(self) -> str:
        """What log lines that Twisted writes on its account begin with."""
        return "control"

    def __init__(self, told: Callable[[Message, list[int]], object], ended: Callable[[], object]) -> None:
        self._told = told
        self._ended = ended
        self._descriptors: deque[int] = deque()
        self._open = True

    def tell(self, message: Message, descriptors: Iterable[int] = ()) -> None:
        """Send it, if the other end is still there. The descriptors must stay open until it is gone, so they are those of a process that keeps them."""
        if not self._open:
            return
        sent = list(descriptors)
        for descriptor in sent:
            self.transport.sendFileDescriptor(descriptor)
        if sent:
            message = {**message, "descriptors": len(sent)}
        self.sendLine(json.dumps(message, separators=(",", ":")).encode())

    def fileDescriptorReceived(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self._descriptors.append(descriptor)

    def lineReceived(self, line: bytes) -> None:
        message = json.loads(line)
        count = message.pop("descriptors", 0)
        self._told(message, [self._descriptors.popleft() for _ in range(count)])

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._open = False
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._ended()

    def close(self) -> None:
        """End it from this side."""
        self.transport.abortConnection()
