"""`txlb backend POOL/NAME drain`: steer one backend of the running balancer."""

from __future__ import annotations

import argparse
from typing import Any

from txlb.cli import _admin_options
from txlb.cli._admin_client import Target, fill
from txlb.config.words import clip
from txlb.errors import OptionError

HELP = "drain a backend of the running balancer, bring it back, weigh, add or remove it"
ACTIONS = ("ready", "drain", "maint", "weight", "add", "remove")
PATH = "/api/v1/pools/{}/backends/{}"
CHANGE_TIME = 25.0
"""Seconds; several processes may have to agree."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The backend, what to do, and for some actions a value."""
    add = parser.add_argument
    add("backend", metavar="POOL/NAME", help="which; the pool's name ends at the first slash")
    add(
        "action",
        choices=ACTIONS,
        help="drain: nothing new, live connections go on; maint: as drain, and no probes; ready: back again",
    )
    add("value", nargs="?", help="of weight: 0 to 1000; of add: a client endpoint string (default: the name)")
    add("--weight", type=int, help="of a backend that is added")
    add("--max-connections", type=int, metavar="N", help="of a backend that is added")
    add("--backup", action="store_true", help="the added backend is used while no other can be")
    _admin_options.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Do it, and say what the backend is then."""
    pool, slash, name = options.backend.partition("/")
    if not (pool and slash and name):
        raise OptionError("", f"say the pool and the backend as POOL/NAME, not {options.backend!r}")
    method, body = _request(options)

    def command(target: Target) -> int:
        found = target.request(method, fill(PATH, pool, name), body, CHANGE_TIME)
        print(clip(f"{pool}/{name}: {_told(found)}", 500))
        return 0

    return _admin_options.speak(options, command)


def _request(options: argparse.Namespace) -> tuple[str, dict[str, Any] | None]:
    action, value = options.action, options.value
    if action not in ("weight", "add") and value is not None:
        raise OptionError("", f"{action} takes no value, and {value!r} is one")
    if action != "add" and (options.weight is not None or options.max_connections is not None or options.backup):
        raise OptionError("", "--weight, --max-connections and --backup are for add")
    if action == "remove":
        return "DELETE", None
    if action == "weight":
        return "POST", {"weight": _weight(value)}
    if action == "add":
        said = {"connect": value, "weight": options.weight, "max_connections": options.max_connections}
        return "PUT", {"backup": options.backup, **{key: word for key, word in said.items() if word is not None}}
    return "POST", {"admin": action}


def _weight(value: str | None) -> int:
    if value is None or not value.isascii() or not value.isdigit():
        raise OptionError("", f"a weight is a whole number from 0 to 1000, not {value!r}")
    return int(value[:10])


def _told(found: dict[str, Any]) -> str:
    if found.get("removed"):
        return "removed"
    return f"{found.get('admin')}, weight {found.get('weight')}, {found.get('open')} open, {found.get('reason')}"
