"""Where a probe goes."""

from __future__ import annotations

from txlb.config.endpoint_forms import CLIENT
from txlb.config.endpoints import check_target, parse_endpoint
from txlb.specs import BackendSpec, HealthSpec


def host_and_port(connect: str) -> tuple[str, str]:
    """The host and the port of a client endpoint string; two empty strings for a UNIX socket and the like."""
    try:
        values = parse_endpoint(connect, CLIENT).values
    except ValueError:  # a plugin's type of endpoint, which may well be connected to
        return "", ""
    return values.get("host", ""), values.get("port", "")


def target(health: HealthSpec, backend: BackendSpec) -> str:
    """The endpoint string to probe: the backend's own for checks, else the pool's with `{host}` filled in, else the
    one that traffic uses."""
    if backend.check_connect is not None:
        return backend.check_connect
    if health.connect is None:
        return backend.connect
    try:
        return check_target(backend.connect, health.connect)
    except ValueError:  # has no host; the configuration refuses this, other sources of backends may not
        return backend.connect
