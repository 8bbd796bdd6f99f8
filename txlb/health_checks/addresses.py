"""Where a probe goes: endpoint strings taken apart only as far as checks need."""

from __future__ import annotations

import re

from twisted.internet.endpoints import quoteStringArgument

from txlb.specs import BackendSpec, HealthSpec

_PART = re.compile(r"((?:\\.|[^:\\])*)(:|$)", re.DOTALL)
_KEY = re.compile(r"([A-Za-z]\w*)=(.*)", re.DOTALL)
_ADDRESSED = frozenset({"tcp", "tls", "ssl", "host"})


def host_and_port(connect: str) -> tuple[str, str]:
    """The host and the port of a client endpoint string; two empty strings for a UNIX socket and the like."""
    kind, *parts = _parts(connect)
    if kind.lower() not in _ADDRESSED:
        return "", ""
    named: dict[str, str] = {}
    positional: list[str] = []
    for part in parts:
        if match := _KEY.fullmatch(part):
            named[match[1]] = match[2]
        else:
            positional.append(part)
    host = named["host"] if "host" in named else (positional.pop(0) if positional else "")
    port = named["port"] if "port" in named else (positional.pop(0) if positional else "")
    return host, port


def target(health: HealthSpec, backend: BackendSpec) -> str:
    """The endpoint string to probe: the backend's own for checks, else the pool's with `{host}` filled in, else the
    one that traffic uses."""
    if backend.check_connect is not None:
        return backend.check_connect
    if health.connect is not None:
        return health.connect.replace("{host}", quoteStringArgument(host_and_port(backend.connect)[0]))
    return backend.connect


def _parts(connect: str) -> list[str]:
    """Split at the colons that no backslash hides."""
    parts = []
    for match in _PART.finditer(connect):
        parts.append(re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL))
        if not match[2]:
            break
    return parts
