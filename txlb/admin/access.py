"""Who may ask for what.

Three doors, each for another danger. The token keeps strangers out. An exact match of the Host header keeps a page on
another site from reaching the admin under a name of its own that suddenly resolves to this machine (DNS rebinding). Origin
and Sec-Fetch-Site keep such a page from sending requests under the admin's right name (CSRF), and need no cookie.

Probes and scrapers come by any name, and read what is nobody's secret: `/health` and `/ready` need nothing at all, `/metrics` the token
only. The page's files hold nothing, and a browser cannot send a token for them, so they need none.
"""

from __future__ import annotations

import hmac
import socket
import struct
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from txlb.admin.answers import Refusal
from txlb.errors import TxlbError
from txlb.specs import AdminSpec

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
DEFAULT_PORTS = (80, 443)


class Audience(Enum):
    """Who a path is for."""

    PROBES = "probes"
    SCRAPERS = "scrapers"
    BROWSERS = "browsers"  # the page's files
    OPERATORS = "operators"  # the API


@frozen
class Access:
    """What one `AdminSpec` allows. `token` is empty where none is needed."""

    token: bytes = b""
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: AdminSpec) -> Access:
        """Reads the token anew. Raises TxlbError where it cannot be had, because without it nobody is kept out."""
        hosts = tuple(host.lower() for host in spec.hosts)
        return cls(b"" if spec.token_file is None else _read_token(spec.token_file), hosts)

    def check(self, request: Any, audience: Audience) -> None:
        """Raises Refusal unless this request may be served."""
        if audience in (Audience.BROWSERS, Audience.OPERATORS):
            host = self._check_host(request)
            _check_origin(request, host, audience)
        if audience in (Audience.SCRAPERS, Audience.OPERATORS):
            self._check_token(request)

    def _check_host(self, request: Any) -> str:
        told = request.requestHeaders.getRawHeaders("host", [])
        if len(told) > 1 or (not told and request.clientproto == b"HTTP/1.1"):
            raise Refusal(400, "one Host header is needed")
        host: str = told[0].lower() if told else ""
        bound = request.getHost()
        if hasattr(bound, "port") and not self._knows(host, bound):
            raise Refusal(403, "this name is not one of the admin's; it is told its names by admin.hosts")
        return host

    def _knows(self, host: str, bound: Any) -> bool:
        own = f"[{bound.host}]" if ":" in bound.host else bound.host
        names = {*LOCAL_NAMES, own.lower()}
        exact = {f"{name}:{bound.port}" for name in names} | set(self.hosts)
        exact |= {f"{name}:{bound.port}" for name in self.hosts}
        if bound.port in DEFAULT_PORTS:
            exact |= names
        return host in exact

    def _check_token(self, request: Any) -> None:
        if not self.token:
            return
        told = request.requestHeaders.getRawHeaders(b"authorization", [])
        scheme, _, token = (told[0] if len(told) == 1 else b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.token):
            reason = "a token is needed" if not told else "this is not the token"
            raise Refusal(401, reason, {"WWW-Authenticate": 'Bearer realm="txlb"'})


def _check_origin(request: Any, host: str, audience: Audience) -> None:
    origins = request.requestHeaders.getRawHeaders("origin", [])
    if any(not _is_own(origin, host) for origin in origins):
        raise Refusal(403, "the request comes from a page of another origin")
    site = request.getHeader("sec-fetch-site")
    if site in ("cross-site", "same-site") and not (audience is Audience.BROWSERS and _follows_link(request)):
        raise Refusal(403, "the request comes from a page of another site")


def _is_own(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc == host


def _follows_link(request: Any) -> bool:
    """Whether somebody clicked a link to the page: that shows it, and lets nobody else read it."""
    return request.getHeader("sec-fetch-mode") == "navigate" and request.getHeader("sec-fetch-dest") == "document"


def _read_token(file: str) -> bytes:
    try:
        token = Path(file).read_bytes().strip()
    except OSError as error:
        raise TxlbError(f"admin.token_file: {file} cannot be read: {error.strerror or error}") from error
    if not token:
        raise TxlbError(f"admin.token_file: {file} holds no token")
    return token


def who(transport: Any, address: Any) -> str:
    """Who is at the other end, for the audit: `192.0.2.7:5123`, or `uid 1000` on a UNIX socket."""
    if hasattr(address, "port"):
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"{host}:{address.port}"
    return _user(transport)


def _user(transport: Any) -> str:
    handle = getattr(transport, "getHandle", lambda: None)()
    if handle is None or not hasattr(socket, "SO_PEERCRED"):
        return "UNIX socket"
    form = struct.Struct("3i")
    _, uid, _ = form.unpack(handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, form.size))
    return f"uid {uid}"
