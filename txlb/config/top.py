"""The file as a whole: the top level, listeners and the admin, and what one section says of another."""

from __future__ import annotations

import string

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import parse_endpoint, server_endpoint
from txlb.config.pools import CONNECTIONS, pools
from txlb.config.reading import Spot
from txlb.config.scalars import duration, integer, list_of, name, one_of, some_time, text
from txlb.config.section import Field, named, section
from txlb.config.words import nearest
from txlb.specs import AccessLogSpec, AdminSpec, Config, ListenerSpec, TimeoutsSpec

AUTO_WORKERS = 0

_ENDPOINTS = list_of(server_endpoint, least=1, alone=True)

_LONGEST_KEEPALIVE = 9 * 3600.0  # Linux takes up to 32767 s
_LONGEST_USER_TIMEOUT = 24 * 24 * 3600.0  # the kernel counts milliseconds in 31 bits

_LISTENERS = named(
    section(
        ListenerSpec,
        Field("listen", _ENDPOINTS, required=True),
        Field("pool", name, required=True),
        Field("engine", one_of("auto", "epoll", "reactor")),
        Field("max_connections", CONNECTIONS),
        Field("max_connections_per_client", CONNECTIONS),
        Field(
            "timeouts",
            section(
                TimeoutsSpec,
                Field("connect", some_time),
                Field("idle", some_time),
                Field("half_close", some_time),
                Field("linger", duration()),
                Field("keepalive", duration(most=_LONGEST_KEEPALIVE)),
                Field("user_timeout", duration(most=_LONGEST_USER_TIMEOUT)),
            ),
        ),
    ),
    "listener",
)

_ADMIN = section(
    AdminSpec,
    Field("listen", server_endpoint, required=True),
    Field("token_file", text),
    Field("hosts", list_of(name, alone=True)),
)


def _workers(spot: Spot) -> int:
    return AUTO_WORKERS if spot.value == "auto" else _auto_or(spot)


def _auto_or(spot: Spot) -> int:
    try:
        return integer(1, 1024)(spot)
    except ValueError as error:
        raise ValueError(str(error).replace("must be", "must be auto or", 1)) from None


def _template(spot: Spot) -> str:
    value = text(spot)
    try:
        list(string.Formatter().parse(value))
    except ValueError as error:
        raise ValueError(f"must be json or a template such as '{{client}} {{outcome}}': {error}") from None
    return value


def _admin(spot: Spot) -> AdminSpec | None:
    admin = _ADMIN(spot)
    if admin is not None and admin.token_file is None and parse_endpoint(admin.listen, SERVER).leaves_loopback:
        spot.fields()["listen"].wrong("can be reached from elsewhere, so that admin.token_file is needed")
    return admin


_TOP = section(
    Config,
    Field("workers", _workers),
    Field("listeners", _LISTENERS, required=True),
    Field("pools", pools, required=True),
    Field("drain_timeout", duration()),
    Field("access_log", section(AccessLogSpec, Field("file", text), Field("format", _template))),
    Field("admin", _admin),
    Field("echo", _ENDPOINTS),
)


def read_config(spot: Spot) -> Config | None:
    """The whole configuration; None when something is wrong, which is then written down."""
    if not isinstance(spot.value, dict):
        spot.wrong(f"must be a mapping with keys such as listeners and pools, not {spot.shown}")
        return None
    config = _TOP(spot, file=spot.reading.file)
    sections = spot.fields()
    _check_pools(sections.get("listeners"), sections.get("pools"))
    _check_bound(sections)
    return config


def _check_pools(listeners: Spot | None, pools: Spot | None) -> None:
    """Every pool that a listener names is there, and every pool is named. Works on what is written, sound or not."""
    there = _entries(pools)
    wanted = set()
    for listener in _entries(listeners).values():
        at = _entries(listener).get("pool")
        if at is None or not isinstance(at.value, str):
            continue
        wanted.add(at.value)
        if at.value and at.value not in there:
            defined = f"; defined: {', '.join(sorted(there))}" if there else ""
            at.wrong(f"no pool is named {at.shown}{nearest(at.value, there) or defined}")
    for key, pool in there.items():
        if key not in wanted:
            pool.warn("no listener uses this pool")


def _check_bound(sections: dict[str, Spot]) -> None:
    """No two places listen on the same."""
    ends = [at for listener in _entries(sections.get("listeners")).values() for at in _listed(listener, "listen")]
    ends += [at for section in ("echo",) for at in _listed_at(sections.get(section))]
    ends += _listed(sections.get("admin"), "listen")
    first: dict[tuple[str, ...], Spot] = {}
    for at in ends:
        try:
            bound = parse_endpoint(at.value, SERVER).bound
        except ValueError:
            continue  # told already
        if bound is not None and first.setdefault(bound, at) is not at:
            at.wrong(f"listens on the same as {first[bound].path} in line {first[bound].node.line}")


def _entries(spot: Spot | None) -> dict[str, Spot]:
    return spot.fields() if spot is not None and isinstance(spot.value, dict) else {}


def _listed(spot: Spot | None, key: str) -> list[Spot]:
    return _listed_at(_entries(spot).get(key))


def _listed_at(spot: Spot | None) -> list[Spot]:
    if spot is None:
        return []
    items = spot.items() if isinstance(spot.value, list) else [spot]
    return [item for item in items if isinstance(item.value, str)]
