"""What systemd is told of this process: `sd_notify(3)`, in a few lines.

A service of `Type=notify` tells that it is ready, reloading or stopping, and with `WatchdogSec` that it is alive. It
sends datagrams to the UNIX socket that `NOTIFY_SOCKET` names; a name that begins with `@` is an abstract one. Without
that variable nothing is sent. That systemd cannot be reached is no reason to stop balancing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()


@define
class Notifier:
    """`address` is that of systemd's socket, empty for none; `watchdog` the seconds within which systemd wants to hear
    of this process, 0 where it does not care. Once `silent`, another process speaks for the service."""

    address: str = ""
    watchdog: float = 0.0
    silent: bool = False
    _beat: Any = field(default=None, init=False)

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ, pid: int | None = None) -> Notifier:
        """As the environment of this process says."""
        address = environment.get("NOTIFY_SOCKET", "")
        usec, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        meant = whose in ("", str(os.getpid() if pid is None else pid))
        return cls(address, int(usec) / 1e6 if meant and usec.isdigit() else 0.0)

    def ready(self, status: str) -> None:
        """The service runs, for the first time or after a reload."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload begins; `ready` ends it, however it went."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """The service is going to end."""
        self._send("STOPPING=1", _status(status))

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(status))

    def hand_over(self, pid: int) -> None:
        """The service is that process from now on, and this one says no more."""
        self._send(f"MAINPID={pid}")
        self.silent = True
        self.stop()

    def beat(self, clock: Any) -> None:
        """Tell from now on, twice as often as is asked for, that the reactor turns."""
        if self.address and self.watchdog and self._beat is None:
            self._beat = LoopingCall(self._send, "WATCHDOG=1")
            self._beat.clock = clock
            self._beat.start(self.watchdog / 2)

    def stop(self) -> None:
        """Tell no longer."""
        if self._beat is not None and self._beat.running:
            self._beat.stop()
        self._beat = None

    def _send(self, *lines: str) -> None:
        if not self.address or self.silent:
            return
        path = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), path)
        except OSError as error:
            log.warn("systemd cannot be told {what}: {error}", what=lines[0], error=error.strerror or str(error))


def _status(words: str) -> str:
    """More lines would be more messages."""
    return f"STATUS={words.partition(chr(10))[0]}"
