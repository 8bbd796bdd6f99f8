"""What every engine sets on its sockets, and which errors are this machine's own fault."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.protocols.policies import ProtocolWrapper

from txlb.specs import TimeoutsSpec

LOCAL_TROUBLE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN}
)
"""No descriptors, no ports, no memory, or (UNIX sockets) a full backlog: never a verdict on a backend."""

SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Why nobody can be accepted for a while."""

REST = 0.5
"""Seconds without accepting after one of `SHORTAGE`."""

LAST = 4096
"""Accepted at most before a port is closed: no backlog is longer."""

_INTERNET = (socket.AF_INET, socket.AF_INET6)


def tune(sock: socket.socket, spec: TimeoutsSpec) -> None:
    """No delay, keepalive and user timeout on a TCP socket. Set on a listening one, Linux hands them on to those it
    accepts."""
    if sock.family not in _INTERNET:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Also where they are off: a listening socket may have had them before a reload.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(spec.keepalive))
    if spec.keepalive and hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(spec.keepalive)))
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(spec.user_timeout * 1000))


def socket_of(transport: Any) -> socket.socket | None:
    """The socket under one of Twisted's transports, TLS or not; None where there is none, or none any more."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    handle = getattr(transport, "socket", None)
    return handle if isinstance(handle, socket.socket) else None
