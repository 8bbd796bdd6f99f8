"""`txlb.engines.sockets`: what every engine sets on its sockets."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from txlb.engines.sockets import tune
from txlb.specs import TimeoutsSpec


class FakeSocket:
    """Remembers its options."""

    family = socket.AF_INET

    def __init__(self) -> None:
        self.options: dict[tuple[int, int], int] = {}

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options[level, option] = value


class TuneTests(SynchronousTestCase):
    """`tune`"""

    def test_switched_off_by_a_reload(self) -> None:
        """Keepalive and the user timeout that a listening socket had go when the configuration says 0."""
        sock = FakeSocket()
        keepalive, user_timeout = (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        )
        tune(sock, TimeoutsSpec(keepalive=60, user_timeout=60))  # type: ignore[arg-type]
        self.assertEqual((sock.options[keepalive], sock.options[user_timeout]), (1, 60000))
        tune(sock, TimeoutsSpec(keepalive=0, user_timeout=0))  # type: ignore[arg-type]
        self.assertEqual((sock.options[keepalive], sock.options[user_timeout]), (0, 0))
