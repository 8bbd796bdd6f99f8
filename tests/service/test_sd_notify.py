"""What systemd is told, with a socket that remembers."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.service import sd_notify
from txlb.service.sd_notify import Notifier


class FakeSocket:
    """Remembers what was sent, and where."""

    sent: list[tuple[str, str]] = []
    error: OSError | None = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *reason: object) -> None:
        """Closed."""

    def sendto(self, data: bytes, address: str) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((data.decode(), address))


class Notifying(SynchronousTestCase):
    """`Notifier`"""

    def setUp(self) -> None:
        self.patch(sd_notify.socket, "socket", FakeSocket)
        self.patch(FakeSocket, "sent", [])

    def messages(self) -> list[str]:
        """What was sent so far."""
        return [message for message, _ in FakeSocket.sent]

    def test_environment(self) -> None:
        """The address and the watchdog are those of the environment; a watchdog for another process is none."""
        said = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}
        self.assertEqual(Notifier.of(said, 7), Notifier("/run/systemd/notify", 3.0))
        self.assertEqual(Notifier.of(said, 8), Notifier("/run/systemd/notify", 0.0))
        del said["WATCHDOG_PID"]
        self.assertEqual(Notifier.of(said, 8).watchdog, 3.0)
        self.assertEqual(Notifier.of({"WATCHDOG_USEC": "soon"}), Notifier())

    def test_nobody_to_tell(self) -> None:
        """Without systemd nothing is sent, and no timer runs."""
        clock, notifier = Clock(), Notifier(watchdog=1.0)
        notifier.ready("serving")
        notifier.beat(clock)
        self.assertEqual((FakeSocket.sent, clock.getDelayedCalls()), ([], []))

    def test_messages(self) -> None:
        """Each message is one datagram of assignments."""
        notifier = Notifier("/run/notify")
        self.patch(sd_notify.time, "monotonic_ns", lambda: 1_500_000_000)
        notifier.ready("serving")
        notifier.reloading()
        notifier.status("busy\nREADY=1")
        notifier.stopping("draining")
        self.assertEqual(
            self.messages(),
            [
                "READY=1\nSTATUS=serving",
                "RELOADING=1\nMONOTONIC_USEC=1500000",
                "STATUS=busy",
                "STOPPING=1\nSTATUS=draining",
            ],
        )
        self.assertEqual({address for _, address in FakeSocket.sent}, {"/run/notify"})

    def test_abstract_address(self) -> None:
        """`@` stands for the NUL with which an abstract name begins."""
        Notifier("@/org/systemd").status("here")
        self.assertEqual(FakeSocket.sent, [("STATUS=here", "\0/org/systemd")])

    def test_watchdog(self) -> None:
        """It is told at once and then twice as often as it has to be, until the end."""
        clock, notifier = Clock(), Notifier("/run/notify", 3.0)
        notifier.beat(clock)
        self.assertEqual(self.messages(), ["WATCHDOG=1"])
        clock.pump([1.5] * 4)
        self.assertEqual(self.messages(), ["WATCHDOG=1"] * 5)
        notifier.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_hand_over(self) -> None:
        """The new main process is named, and then the old one is silent for good."""
        clock, notifier = Clock(), Notifier("/run/notify", 3.0)
        notifier.beat(clock)
        notifier.hand_over(42)
        notifier.stopping("draining")
        clock.advance(10)
        self.assertEqual(self.messages(), ["WATCHDOG=1", "MAINPID=42"])

    def test_systemd_is_away(self) -> None:
        """A socket that cannot be reached costs a line in the log."""
        self.patch(FakeSocket, "error", ConnectionRefusedError(111, "Connection refused"))
        Notifier("/run/notify").status("here")
        self.assertEqual(FakeSocket.sent, [])

    def test_real_socket_options(self) -> None:
        """It is a datagram socket that never blocks."""
        made: list[Any] = []
        self.patch(sd_notify.socket, "socket", lambda *arguments: made.append(arguments) or FakeSocket())
        Notifier("/run/notify").status("here")
        self.assertEqual(made, [(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)])
