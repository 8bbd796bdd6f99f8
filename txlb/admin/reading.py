"""What operators send, from JSON to typed values. Raises Refusal with what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import parse_qsl

from attrs import frozen
from twisted.internet.endpoints import clientFromString

from txlb.admin.answers import JSON, Refusal
from txlb.config.endpoint_forms import CLIENT
from txlb.config.endpoints import parse_endpoint
from txlb.config.words import clip, nearest
from txlb.specs import BackendSpec

ADMIN_STATES = ("ready", "drain", "maint")
MAX_WEIGHT = 1000
MOST_CONNECTIONS = 10_000_000
LONGEST_NAME = 200


@frozen
class Change:
    """What is to change about a backend; None: leave it."""

    admin: str | None = None
    weight: int | None = None


def json_body(request: Any, empty: bool = False) -> dict[str, Any]:
    """The JSON object in the body. `empty` allows that there is none.

    A page of another site can send a form anywhere, but not this content type, unless it is asked first.
    """
    told = request.requestHeaders.getRawHeaders("content-type", [])
    body = request.body
    if (body or told) and (len(told) != 1 or told[0].partition(";")[0].strip().lower() != JSON):
        raise Refusal(415, f"the Content-Type has to be {JSON}")
    if not body:
        if empty:
            return {}
        raise Refusal(400, "a JSON object is needed")
    try:
        found = json.loads(body, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        words = "nested too deeply" if isinstance(error, RecursionError) else clip(str(error), 200)
        raise Refusal(400, f"the body is not JSON: {words}") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body has to be a JSON object")
    return found


def change(body: dict[str, Any]) -> Change:
    """`{"admin": …}`, `{"weight": …}` or both."""
    _only(body, ("admin", "weight"))
    if not body:
        raise Refusal(400, "say admin, weight or both")
    admin = body.get("admin")
    if "admin" in body and admin not in ADMIN_STATES:
        raise Refusal(400, f"admin: must be one of {', '.join(ADMIN_STATES)}, not {_shown(admin)}")
    return Change(admin, _integer(body, "weight", 0, MAX_WEIGHT) if "weight" in body else None)


def backend(name: str, body: dict[str, Any], reactor: Any) -> BackendSpec:
    """A backend to be added; as in the configuration, what it connects to is its name unless it says otherwise."""
    _only(body, ("connect", "weight", "max_connections", "backup", "check_connect"))
    if not name.strip() or len(name) > LONGEST_NAME or clip(name, len(name)) != name:
        raise Refusal(400, f"a name has from 1 to {LONGEST_NAME} characters, none of them control characters")
    backup = body.get("backup", False)
    if not isinstance(backup, bool):
        raise Refusal(400, f"backup: must be true or false, not {_shown(backup)}")
    most = body.get("max_connections")
    check = body.get("check_connect")
    return BackendSpec(
        name=name,
        connect=_connect("connect", body.get("connect", name), reactor),
        weight=_integer(body, "weight", 0, MAX_WEIGHT) if "weight" in body else 1,
        max_connections=None if most is None else _integer(body, "max_connections", 1, MOST_CONNECTIONS),
        backup=backup,
        check_connect=None if check is None else _connect("check_connect", check, reactor),
    )


def query(request: Any, known: Collection[str]) -> dict[str, str]:
    """The values behind the question mark, each at most once."""
    try:
        pairs = parse_qsl(
            request.query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=20,
            strict_parsing=bool(request.query),
        )
    except ValueError:
        raise Refusal(400, "the query cannot be read") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise Refusal(400, "the query says something twice")
    _only(values, known)
    return values


def choice(values: dict[str, str], key: str, default: bool) -> bool:
    """A `yes` or `no` of the query."""
    if values.get(key, "yes") not in ("yes", "no"):
        raise Refusal(400, f"{key}: must be yes or no, not {_shown(values[key])}")
    return values[key] == "yes" if key in values else default


def _only(found: Collection[str], known: Collection[str]) -> None:
    for key in found:
        if key not in known:
            raise Refusal(400, f"unknown key {_shown(key)}{nearest(key, known) or '; known: ' + ', '.join(known)}")


def _integer(body: dict[str, Any], key: str, least: int, most: int) -> int:
    value = body[key]
    if type(value) is not int or not least <= value <= most:
        raise Refusal(400, f"{key}: must be a whole number from {least} to {most}, not {_shown(value)}")
    return value


def _connect(key: str, value: Any, reactor: Any) -> str:
    if not isinstance(value, str) or not value.strip() or clip(value, len(value)) != value:
        raise Refusal(400, f"{key}: must be a client endpoint string, not {_shown(value)}")
    _refusing(key, parse_endpoint, value, CLIENT)
    _refusing(key, clientFromString, reactor, value)
    return value


def _refusing(key: str, call: Callable[..., Any], *arguments: Any) -> None:
    try:
        call(*arguments)
    except Exception as error:  # endpoint types are plugins, and certificates are read here
        raise Refusal(400, f"{key}: {clip(str(error) or type(error).__name__, 200)}") from None


def _shown(value: Any) -> str:
    return clip(json.dumps(value, ensure_ascii=False), 80)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
