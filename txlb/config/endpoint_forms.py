"""What Twisted's own endpoint types take: the arguments of each, and what their values can be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from attrs import frozen

from txlb.config.words import nearest

SERVER = "server"
CLIENT = "client"

_DIGITS = re.compile(r"[0-9]{1,9}")
_LONGEST_UNIX_PATH = 107  # sun_path holds 108 bytes and ends in a NUL


@frozen
class Form:
    """The arguments of one type: those that may be given by position, those by key only, and those that must be."""

    positional: tuple[str, ...]
    keys: tuple[str, ...]
    needed: tuple[str, ...]
    example: str


def _form(positional: str, keys: str, needed: str, example: str) -> Form:
    return Form(tuple(positional.split()), tuple(keys.split()), tuple(needed.split()), example)


_SSL = "privateKey certKey sslmethod interface backlog extraCertChain dhParameters"
FORMS: Mapping[tuple[str, str], Form] = {
    (SERVER, "tcp"): _form("port interface backlog", "", "port", "tcp:8080:interface=127.0.0.1"),
    (SERVER, "tcp6"): _form("port backlog interface", "", "port", "tcp6:8080"),
    (SERVER, "unix"): _form("address mode backlog lockfile", "", "address", "unix:/run/txlb.sock"),
    (SERVER, "ssl"): _form(f"port {_SSL}", "", "port", "ssl:443:privateKey=key.pem:certKey=cert.pem"),
    (SERVER, "tls"): _form("path port backlog interface", "", "path", "tls:/etc/certs:443"),
    (SERVER, "systemd"): _form("domain index name", "", "domain", "systemd:domain=INET:index=0"),
    (CLIENT, "tcp"): _form("host port", "timeout bindAddress", "host port", "tcp:127.0.0.1:9001"),
    (CLIENT, "ssl"): _form(
        "host port", "timeout bindAddress hostname caCertsDir privateKey certKey", "host port", "ssl:example.com:443"
    ),
    (CLIENT, "tls"): _form(
        "host port timeout bindAddress certificate privateKey trustRoots endpoint",
        "",
        "host port",
        "tls:example.com:443",
    ),
    (CLIENT, "unix"): _form("path", "timeout lockfile", "path", "unix:/run/backend.sock"),
}
"""By side and type, as `twisted.internet.endpoints` has them."""

REFUSED: Mapping[tuple[str, str], str] = {
    (SERVER, "haproxy"): (
        "haproxy: loses replies after a half-close and reads PROXY headers unsafely, from anybody; "
        "listen on the endpoint inside of it"
    ),
}
"""Types that Twisted has and that would break what a listener promises, and why."""


def name_arguments(form: Form, arguments: list[list[str]], side: str) -> dict[str, str]:
    """The arguments by their names, each checked; raises ValueError with what is wrong."""
    values = dict(argument for argument in arguments if len(argument) == 2)
    known = (*form.positional, *form.keys)
    for key in values:
        if key not in known:
            hint = nearest(key, known) or f"; known: {', '.join(known)}"
            raise ValueError(f"unknown argument {key!r} in the endpoint string{hint}")
    free = [key for key in form.positional if key not in values]
    alone = [argument[0] for argument in arguments if len(argument) == 1]
    if len(alone) > len(free):
        raise ValueError(f"too many arguments at {alone[len(free)]!r} (a colon inside of a value is written \\:)")
    values.update(zip(free, alone, strict=False))
    for key in form.needed:
        if not values.get(key):
            raise ValueError(f"has no {key}; write for instance {form.example}")
    for key, value in values.items():
        if key in _CHECKS:
            _CHECKS[key](key, value, side)
    return values


def _port(key: str, value: str, side: str) -> None:
    least = 1 if side == CLIENT else 0
    if not _DIGITS.fullmatch(value):
        raise ValueError(f"the {key} must be a number, not {value!r}")
    if not least <= int(value) <= 65535:
        raise ValueError(f"the {key} must be from {least} to 65535, not {value}")


def _number(key: str, value: str, side: str) -> None:
    if not _DIGITS.fullmatch(value) or int(value) == 0:
        raise ValueError(f"the {key} must be a whole number above 0, not {value!r}")


def _mode(key: str, value: str, side: str) -> None:
    if not re.fullmatch("[0-7]{1,4}", value):
        raise ValueError(f"the {key} must be octal, such as 660, not {value!r}")


def _lockfile(key: str, value: str, side: str) -> None:
    if value not in ("0", "1"):
        raise ValueError(f"the {key} must be 0 or 1, not {value!r}")


def check_socket_path(path: str) -> None:
    """Raises ValueError when the system would not take it as the path of a socket."""
    length = len(path.encode("utf-8", "surrogatepass"))
    if length > _LONGEST_UNIX_PATH:
        raise ValueError(f"the path of a UNIX socket has at most {_LONGEST_UNIX_PATH} bytes, not {length}")


def _address(key: str, value: str, side: str) -> None:
    try:
        ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        raise ValueError(f"the {key} must be an IP address, not {value!r}") from None


def _host(key: str, value: str, side: str) -> None:
    try:
        value.encode("idna")  # as resolvers do, who take it for a bug in their caller where that fails
    except UnicodeError:
        raise ValueError(f"the {key} must be a name or an IP address, not {value!r}") from None


_CHECKS: Mapping[str, Callable[[str, str, str], None]] = {
    "host": _host,
    "port": _port,
    "timeout": _number,
    "backlog": _number,
    "mode": _mode,
    "lockfile": _lockfile,
    "bindAddress": _address,
}
