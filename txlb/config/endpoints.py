r"""The syntax of Twisted's endpoint strings, as far as it can be checked without Twisted's word.

`name:args`, where an argument is a value or `key=value`, and `\` makes the character behind it an ordinary one. The
arguments of the types below are known, so that a mistake in them is told in words rather than as a TypeError of some
constructor. Other types are Twisted's plugins: floor 5 asks Twisted itself about every string (`txlb.checks`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from attrs import field, frozen

from txlb.config.reading import Spot
from txlb.config.scalars import text
from txlb.config.words import nearest

SERVER = "server"
CLIENT = "client"

_KIND = re.compile(r"[A-Za-z][\w+-]*", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,9}")
_LONGEST_UNIX_PATH = 107  # sun_path holds 108 bytes and ends in a NUL


@frozen
class Endpoint:
    """An endpoint string taken apart: its type, and its arguments by name (for a type not known here: `arguments`)."""

    kind: str
    arguments: tuple[str, ...] = ()
    values: Mapping[str, str] = field(factory=dict, hash=False)

    @property
    def known(self) -> bool:
        """Whether `values` hold all the arguments."""
        return bool(self.values)

    @property
    def leaves_loopback(self) -> bool:
        """Whether a listener here may be reached from elsewhere, as far as the string tells."""
        if self.kind == "unix":
            return False
        interface = self.values.get("interface", "")
        if interface == "localhost":
            return False
        try:
            return not ipaddress.ip_address(interface).is_loopback
        except ValueError:
            return True

    @property
    def bound(self) -> tuple[str, ...] | None:
        """What a listener here occupies: two that are equal cannot both be had. None where the system picks a port."""
        if self.kind == "unix":
            return ("unix", self.values["address"])
        if "port" in self.values:
            port, interface = int(self.values["port"]), self.values.get("interface", "")
            return ("port", str(port), interface) if port else None
        return (self.kind, *self.arguments, *(f"{key}={value}" for key, value in sorted(self.values.items())))


@frozen
class _Form:
    """The arguments of one type: those that may be given by position, those by key only, and those that must be."""

    positional: tuple[str, ...]
    keys: tuple[str, ...]
    needed: tuple[str, ...]
    example: str


def _form(positional: str, keys: str, needed: str, example: str) -> _Form:
    return _Form(tuple(positional.split()), tuple(keys.split()), tuple(needed.split()), example)


_SSL = "privateKey certKey sslmethod interface backlog extraCertChain dhParameters"
_FORMS: Mapping[tuple[str, str], _Form] = {
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


def server_endpoint(spot: Spot) -> str:
    """The string of something to listen on; raises ValueError with what is wrong with it."""
    value = text(spot)
    parse_endpoint(value, SERVER)
    return value


def client_endpoint(spot: Spot) -> str:
    """The string of something to connect to; raises ValueError with what is wrong with it."""
    value = text(spot)
    parse_endpoint(value, CLIENT)
    return value


def check_endpoint(spot: Spot) -> str:
    """The same, in which `{host}` may stand for the host of the backend to be checked."""
    value = text(spot)
    parse_endpoint(value.replace("{host}", "host"), CLIENT)
    return value


def check_target(connect: str, template: str) -> str:
    """Where to probe the backend at `connect`: `template` with `{host}` filled in; raises ValueError when it has none."""
    if "{host}" not in template:
        return template
    host = parse_endpoint(connect, CLIENT).values.get("host")
    if host is None:
        raise ValueError(f"{{host}} cannot be filled in: {connect!r} has no host")
    return template.replace("{host}", host.replace("\\", "\\\\").replace(":", "\\:"))


def parse_endpoint(description: str, side: str) -> Endpoint:
    """Take an endpoint string apart; raises ValueError with what is wrong with it."""
    example = _FORMS[side, "tcp"].example
    kind, *arguments = split(description)
    if len(kind) != 1 or not arguments or not _KIND.fullmatch(kind[0]):
        raise ValueError(f"must be an endpoint string such as {example}, not {description!r}")
    form = _FORMS.get((side, kind[0]))
    if form is not None:
        values = _named(form, arguments, side)
        if kind[0] == "unix":
            _socket_path(values[form.needed[0]])
        return Endpoint(kind[0], (), values)
    other = CLIENT if side == SERVER else SERVER
    if (other, kind[0]) in _FORMS:
        verb = "connected to" if side == CLIENT else "listened on"
        raise ValueError(f"{kind[0]} cannot be {verb}; write for instance {example}")
    return Endpoint(kind[0], tuple("=".join(argument) for argument in arguments))


def split(description: str) -> list[list[str]]:
    """The arguments between colons, each as `[value]` or `[key, value]`, with the backslashes taken away."""
    arguments: list[list[str]] = [[""]]
    characters = iter(description)
    for character in characters:
        if character == ":":
            arguments.append([""])
        elif character == "=" and len(arguments[-1]) == 1:
            arguments[-1].append("")
        else:
            taken = next(characters, "") if character == "\\" else character
            if not taken:
                raise ValueError("ends in a backslash that stands before nothing")
            arguments[-1][-1] += taken
    return arguments


def _named(form: _Form, arguments: list[list[str]], side: str) -> dict[str, str]:
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


def _socket_path(path: str) -> None:
    length = len(path.encode("utf-8", "surrogatepass"))
    if length > _LONGEST_UNIX_PATH:
        raise ValueError(f"the path of a UNIX socket has at most {_LONGEST_UNIX_PATH} bytes, not {length}")


def _address(key: str, value: str, side: str) -> None:
    try:
        ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        raise ValueError(f"the {key} must be an IP address, not {value!r}") from None


_CHECKS: Mapping[str, Callable[[str, str, str], None]] = {
    "port": _port,
    "timeout": _number,
    "backlog": _number,
    "mode": _mode,
    "lockfile": _lockfile,
    "bindAddress": _address,
}
