r"""The syntax of Twisted's endpoint strings, as far as it can be checked without Twisted's word.

`name:args`, where an argument is a value or `key=value`, and `\` makes the character behind it an ordinary one. The
arguments of the types below are known, so that a mistake in them is told in words rather than as a TypeError of some
constructor. Other types are Twisted's plugins: floor 5 asks Twisted itself about every string (`txlb.checks`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from attrs import field, frozen

from txlb.config.endpoint_forms import CLIENT, FORMS, REFUSED, SERVER, check_socket_path, name_arguments
from txlb.config.reading import Spot
from txlb.config.scalars import text

_KIND = re.compile(r"[A-Za-z][\w+-]*", re.ASCII)


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
    example = FORMS[side, "tcp"].example
    kind, *arguments = split(description)
    if len(kind) != 1 or not arguments or not _KIND.fullmatch(kind[0]):
        raise ValueError(f"must be an endpoint string such as {example}, not {description!r}")
    if (side, kind[0]) in REFUSED:
        raise ValueError(REFUSED[side, kind[0]])
    form = FORMS.get((side, kind[0]))
    if form is not None:
        values = name_arguments(form, arguments, side)
        if kind[0] == "unix":
            check_socket_path(values[form.needed[0]])
        return Endpoint(kind[0], (), values)
    other = CLIENT if side == SERVER else SERVER
    if (other, kind[0]) in FORMS:
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
