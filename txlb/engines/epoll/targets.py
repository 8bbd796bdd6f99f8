"""Client endpoint strings that this engine can dial: `tcp:HOST:PORT` and `unix:PATH`, read as Twisted reads them.

Their `timeout=` is accepted and has no say: the listener's connect timeout covers every engine alike.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from attrs import frozen

_TCP = frozenset({"host", "port", "timeout", "bindAddress"})
_UNIX = frozenset({"path", "timeout", "lockfile"})


@frozen
class Target:
    """Whom to dial. `addresses` of (family, sockaddr) is empty where `host` is a name that has to be resolved."""

    host: str
    port: int
    bind: str | None
    addresses: tuple[tuple[int, Any], ...]


def parse(connect: str) -> Target:
    """Read a client endpoint string; raises ValueError saying why this engine cannot dial it."""
    (kind, *values), options = _fields(connect)
    if kind.lower() == "tcp":
        return _tcp(connect, values, options)
    if kind.lower() == "unix":
        return _unix(connect, values, options)
    raise ValueError(f"{connect!r} is neither tcp: nor unix:")


def _tcp(connect: str, values: list[str], options: dict[str, str]) -> Target:
    given = dict(zip(("host", "port") if "host" not in options else ("port",), values, strict=False)) | options
    _check(connect, len(values) + len(options), given, _TCP)
    try:
        host, port = given["host"], int(given["port"])
    except (KeyError, ValueError):
        raise ValueError(f"{connect!r} needs a host and a numeric port") from None
    if not host or not 0 < port < 65536:
        raise ValueError(f"{connect!r} needs a host and a port from 1 to 65535")
    return Target(host, port, given.get("bindAddress"), literal(host, port))


def _unix(connect: str, values: list[str], options: dict[str, str]) -> Target:
    given = dict(zip(("path",), values, strict=False)) | options
    _check(connect, len(values) + len(options), given, _UNIX)
    path = given.get("path", "")
    if not path or len(path.encode()) > 107:
        raise ValueError(f"{connect!r} needs a path of 1 to 107 bytes")
    if given.get("lockfile", "0") != "0":
        raise ValueError(f"{connect!r}: lockfile= is served by the reactor engine only")
    return Target("", 0, None, ((int(socket.AF_UNIX), path),))


def _check(connect: str, count: int, given: dict[str, str], known: frozenset[str]) -> None:
    if unknown := given.keys() - known:
        raise ValueError(f"{connect!r}: unknown option {sorted(unknown)[0]}=")
    if len(given) != count:
        raise ValueError(f"{connect!r} has too many fields")


def literal(host: str, port: int) -> tuple[tuple[int, Any], ...]:
    """The one (family, sockaddr) of an IP address; nothing for a name."""
    bare, _, scope = host.partition("%")
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        try:
            socket.inet_pton(socket.AF_INET6, bare)
        except OSError:
            return ()
        return ((int(socket.AF_INET6), (bare, port, 0, _scope(scope))),)
    return ((int(socket.AF_INET), (host, port)),)


def _scope(name: str) -> int:
    try:
        return int(name or 0) if not name or name.isdigit() else socket.if_nametoindex(name)
    except OSError:
        raise ValueError(f"there is no network interface {name!r}") from None


def _fields(connect: str) -> tuple[list[str], dict[str, str]]:
    """Split at colons into values and `key=value` options; a backslash takes away what the next character means."""
    values: list[str] = []
    options: dict[str, str] = {}
    for key, value in _split(connect):
        if key is None:
            values.append(value)
        else:
            options[key] = value
    return values or [""], options


def _split(connect: str) -> Iterator[tuple[str | None, str]]:
    key, current = None, ""
    characters = iter(connect)
    for character in characters:
        if character == "\\":
            current += next(characters, "")
        elif character == ":":
            yield key, current
            key, current = None, ""
        elif character == "=" and key is None:
            key, current = current, ""
        else:
            current += character
    yield key, current
