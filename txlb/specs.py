"""What the operator asked for, as frozen, typed values.

`txlb.config` makes them from YAML, everything else reads them. A reload makes new ones and compares: two equal specs
mean "nothing to do". Durations are seconds. `None` for a limit means that there is none of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

Options = Mapping[str, Any]


def _frozen_mapping(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


@frozen
class StrategySpec:
    """A strategy by its name, and the options given to it, already checked against its class."""

    name: str
    options: Options = field(factory=dict, converter=_frozen_mapping, hash=False)


@frozen
class BackendSpec:
    """One server. `connect` is a Twisted client endpoint string; `weight` is 0 to 1000, 0 takes no new connections."""

    name: str
    connect: str
    weight: int = 1
    max_connections: int | None = None
    backup: bool = False
    check_connect: str | None = None  # probed instead of `connect`


@frozen
class QueueSpec:
    """How many clients wait, and how long, when every backend is at its maximum."""

    size: int = 0
    timeout: float = 5.0


@frozen
class RetryBudgetSpec:
    """Retries under way may be `percent` of the connections open in the pool, and always `least` of them."""

    percent: int = 20
    least: int = 3


@frozen
class HealthSpec:
    """How the backends of a pool are probed. `rise` and `fall` count consecutive verdicts."""

    check: str = "tcp"
    options: Options = field(factory=dict, converter=_frozen_mapping, hash=False)
    connect: str | None = None  # an endpoint string for all; `{host}` stands for the backend's own host
    interval: float = 2.0
    down_interval: float | None = None  # while down; None: the same as `interval`
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3


@frozen
class OutlierSpec:
    """When traffic itself shows that a backend is bad. `failures` of 0 turns ejection off.

    The n-th ejection in a row lasts `ejection * n` seconds, at most `max_ejection`; no more than `max_percent` of a
    pool is ejected at a time, and never its last backend.
    """

    failures: int = 5
    ejection: float = 30.0
    max_ejection: float = 300.0
    max_percent: int = 50


@frozen
class PoolSpec:
    """A set of backends and the policy by which one of them is picked.

    `strategy` is a fallback chain: the next is asked when the one before has no pick. Under `panic_threshold` percent
    of eligible backends, all that are not in maintenance are used. `slow_start` is the time in which a recovered
    backend's weight grows to its full size.
    """

    name: str
    backends: tuple[BackendSpec, ...]
    strategy: tuple[StrategySpec, ...] = (StrategySpec("round-robin"),)
    retries: int = 3
    retry_budget: RetryBudgetSpec = RetryBudgetSpec()
    send_proxy: str = "none"  # none | v1 | v2
    queue: QueueSpec = QueueSpec()
    max_connections: int | None = None
    health: HealthSpec | None = None
    outliers: OutlierSpec = OutlierSpec()
    panic_threshold: int = 50
    slow_start: float = 0.0
    close_when_down: bool = False


@frozen
class TimeoutsSpec:
    """Seconds. `connect` is per attempt; `idle`: no byte either way; `half_close`: no byte in the direction still open;
    `linger`: the time to flush what is left before a reset. `keepalive` is the idle time before TCP probes and
    `user_timeout` how long sent bytes may stay unacknowledged; 0 leaves either to the system.
    """

    connect: float = 5.0
    idle: float = 3600.0
    half_close: float = 30.0
    linger: float = 5.0
    keepalive: float = 60.0
    user_timeout: float = 60.0


@frozen
class ListenerSpec:
    """Where clients are accepted. `listen` holds Twisted server endpoint strings."""

    name: str
    listen: tuple[str, ...]
    pool: str
    engine: str = "auto"  # auto | epoll | reactor
    max_connections: int | None = None
    max_connections_per_client: int | None = None
    timeouts: TimeoutsSpec = TimeoutsSpec()


@frozen
class AccessLogSpec:
    """`file` of None is the ordinary log; `format` is `json` or a template such as `{client} {outcome}`."""

    file: str | None = None
    format: str = "json"


@frozen
class AdminSpec:
    """Where the admin listens. Off loopback and UNIX sockets it needs a `token_file`; `hosts` are extra names it answers to."""

    listen: str
    token_file: str | None = None
    hosts: tuple[str, ...] = ()


@frozen
class Config:
    """One valid configuration. `workers` of 0 stands for `auto`: one for each processor."""

    listeners: Mapping[str, ListenerSpec] = field(factory=dict, converter=_frozen_mapping, hash=False)
    pools: Mapping[str, PoolSpec] = field(factory=dict, converter=_frozen_mapping, hash=False)
    workers: int = 1
    drain_timeout: float = 30.0
    access_log: AccessLogSpec | None = None
    admin: AdminSpec | None = None
    echo: tuple[str, ...] = ()
    file: str = field(default="", eq=False)
    warnings: tuple[str, ...] = field(default=(), eq=False)
