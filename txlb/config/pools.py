"""The section `pools`: strategies, backends, health checks, and the rules between them."""

from __future__ import annotations

from txlb.config.endpoints import check_endpoint, check_target, client_endpoint
from txlb.config.plugins import ask_plugin
from txlb.config.reading import Spot
from txlb.config.scalars import duration, flag, integer, list_of, name, one_of, percent, some_time
from txlb.config.section import Field, named, read_fields, section
from txlb.specs import BackendSpec, HealthSpec, OutlierSpec, PoolSpec, QueueSpec, RetryBudgetSpec, StrategySpec

CONNECTIONS = integer(1, 10_000_000)

_BACKEND = section(
    BackendSpec,
    Field("name", name),
    Field("connect", client_endpoint, required=True),
    Field("weight", integer(0, 1000)),
    Field("max_connections", CONNECTIONS),
    Field("backup", flag),
    Field("check_connect", client_endpoint),
)

_HEALTH = (
    Field("check", name),
    Field("connect", check_endpoint),
    Field("interval", duration(0.01)),
    Field("down_interval", duration(0.01)),
    Field("timeout", some_time),
    Field("rise", integer(1, 1000)),
    Field("fall", integer(1, 1000)),
)


def strategy(spot: Spot) -> StrategySpec | None:
    """A name, or a mapping of a name and options."""
    if not isinstance(spot.value, dict):
        chosen = name(spot)
        ask_plugin(spot, spot.reading.strategies, chosen, {}, ())
        return StrategySpec(chosen)
    found = spot.fields()
    if "name" not in found:
        spot.missing("name")
        return None
    at = found.pop("name")
    named_so = at.take(name)
    if named_so is None:
        return None
    ask_plugin(at, spot.reading.strategies, named_so, found, ("name",))
    return StrategySpec(named_so, {key: option.plain() for key, option in found.items()})


def backend(spot: Spot) -> BackendSpec | None:
    """A connect string, or a mapping; the name defaults to the connect string."""
    if isinstance(spot.value, dict):
        return _BACKEND(spot, **({} if "name" in spot.value else {"name": _connect_of(spot)}))
    connect = client_endpoint(spot)
    return BackendSpec(name=connect, connect=connect)


def health(spot: Spot) -> HealthSpec | None:
    """The fixed keys, and beside them the options of the check."""
    found = spot.fields()
    fixed = [field.key for field in _HEALTH]
    options = {key: inner for key, inner in found.items() if key not in fixed}
    values = read_fields(spot, found, _HEALTH, others=options)
    at, check = found.get("check", spot), HealthSpec().check
    if "check" in found:
        check = at.value if isinstance(at.value, str) and at.value else ""
    if check:
        ask_plugin(at, spot.reading.health_checks, check, options, fixed)
    return None if values is None else HealthSpec(**values, options={key: o.plain() for key, o in options.items()})


def backends(spot: Spot) -> tuple[BackendSpec, ...] | None:
    """At least one, no two of one name."""
    items = spot.items()
    if not items:
        raise ValueError("must hold at least one backend")
    found = [item.take(backend) for item in items]
    first: dict[str, int] = {}
    for index, one in enumerate(found):
        if one is not None and first.setdefault(one.name, index) != index:
            at = (
                items[index].fields().get("name", items[index])
                if isinstance(items[index].value, dict)
                else items[index]
            )
            at.wrong(f"two backends are named {one.name!r}; the other is backends[{first[one.name]}]")
    sound = tuple(one for one in found if one is not None)
    if len(sound) < len(found):
        return None
    if not any(one.weight for one in sound):
        spot.warn("every backend has weight 0, so that none takes new connections")
    return sound


def _connect_of(spot: Spot) -> str:
    connect = spot.value.get("connect")
    return str(connect.value) if connect is not None else ""


def _pool(spot: Spot, name: str) -> PoolSpec | None:
    pool: PoolSpec | None = _POOL(spot, name=name)
    if pool is not None and pool.health is not None and pool.health.connect is not None:
        for one in pool.backends:
            if one.check_connect is None:
                _fill_host(spot, one, pool.health.connect)
    return pool


def _fill_host(spot: Spot, one: BackendSpec, template: str) -> None:
    try:
        check_target(one.connect, template)
    except ValueError as error:
        spot.fields()["health"].fields()["connect"].wrong(str(error))


_POOL = section(
    PoolSpec,
    Field("backends", backends, required=True),
    Field("strategy", list_of(strategy, least=1, alone=True)),
    Field("retries", integer(0, 100)),
    Field("retry_budget", section(RetryBudgetSpec, Field("percent", percent), Field("least", integer(0, 1_000_000)))),
    Field("send_proxy", one_of("none", "v1", "v2")),
    Field("queue", section(QueueSpec, Field("size", integer(0, 1_000_000)), Field("timeout", some_time))),
    Field("max_connections", CONNECTIONS),
    Field("health", health),
    Field(
        "outliers",
        section(
            OutlierSpec,
            Field("failures", integer(0, 1_000_000)),
            Field("ejection", some_time),
            Field("max_ejection", some_time),
            Field("max_percent", percent),
        ),
    ),
    Field("panic_threshold", percent),
    Field("slow_start", duration()),
    Field("close_when_down", flag),
)

pools = named(_pool, "pool")
