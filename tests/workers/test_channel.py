"""What parent and worker say to each other, and how a worker writes its log."""

from __future__ import annotations

import io
import json
import os
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, formatEventAsClassicLogText
from twisted.trial.unittest import SynchronousTestCase

from txlb.workers.channel import Channel, Message
from txlb.workers.logs import numbered


class Wire(StringTransport):
    """A transport that notes descriptors."""

    def __init__(self) -> None:
        super().__init__()
        self.descriptors: list[int] = []

    def sendFileDescriptor(self, descriptor: int) -> None:
        """Note it."""
        self.descriptors.append(descriptor)


class ChannelTests(SynchronousTestCase):
    """One end of a channel."""

    def setUp(self) -> None:
        self.told: list[tuple[Message, list[int]]] = []
        self.ends = 0
        self.channel = Channel(lambda message, descriptors: self.told.append((message, descriptors)), self.end)
        self.wire = Wire()
        self.channel.makeConnection(self.wire)

    def end(self) -> None:
        """The other end is gone."""
        self.ends += 1

    def test_messages(self) -> None:
        """What one end tells the other hears, in whatever pieces it comes."""
        self.channel.tell({"do": "hello", "text": "a: 1\n# ünïcode\n"})
        for byte in self.wire.value():
            self.channel.dataReceived(bytes([byte]))
        self.assertEqual(self.told, [({"do": "hello", "text": "a: 1\n# ünïcode\n"}, [])])

    def test_descriptors_belong_to_their_message(self) -> None:
        """Descriptors go to the messages they were sent with, in order, whenever they arrive before."""
        given = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]
        for descriptor in given:
            self.addCleanup(os.close, descriptor)
        self.channel.tell({"do": "a"}, given[:2])
        self.channel.tell({"do": "b"})
        self.channel.tell({"do": "c"}, given[2:])
        self.assertEqual(self.wire.descriptors, given)
        for descriptor in given:
            self.channel.fileDescriptorReceived(descriptor)
        self.channel.dataReceived(self.wire.value())
        self.assertEqual(self.told, [({"do": "a"}, given[:2]), ({"do": "b"}, []), ({"do": "c"}, given[2:])])

    def test_end(self) -> None:
        """At the end unclaimed descriptors are closed, and what is told after it goes nowhere."""
        unclaimed = os.open(os.devnull, os.O_RDONLY)
        self.channel.fileDescriptorReceived(unclaimed)
        self.channel.connectionLost()
        self.assertEqual(self.ends, 1)
        self.assertRaises(OSError, os.fstat, unclaimed)
        self.channel.tell({"do": "drain"})
        self.assertEqual(self.wire.value(), b"")


class LogTests(SynchronousTestCase):
    """Lines of a worker."""

    EVENT: dict[str, Any] = {
        "log_format": "{backend} is down",
        "backend": "green",
        "log_namespace": "txlb.proxy",
        "log_level": LogLevel.warn,
        "log_time": 0.0,
    }

    def test_text(self) -> None:
        """In text, the number stands before the system."""
        lines: list[str] = []
        numbered(3, "text", lambda event: lines.append(formatEventAsClassicLogText(event) or ""))(self.EVENT)
        self.assertIn("[worker 3 txlb.proxy#warn] green is down", lines[0])

    def test_json(self) -> None:
        """In JSON it is a field, and nothing else changes."""
        written = io.StringIO()
        numbered(3, "json", lambda event: written.write(json.dumps(event, default=str)))(self.EVENT)
        found = json.loads(written.getvalue())
        self.assertEqual((found["worker"], found["log_namespace"]), (3, "txlb.proxy"))
