"""The proxies that are compared, one file each; its configuration lies beside it.

Each is on one thread (the scenarios of workers ask for more, or for as many processes), balances over the same backends, keeps half-closed connections open, probes dead connections by
keepalive, limits unacknowledged data in time (user timeout) where it can, ends idle connections after an hour, has
5 seconds to connect, checks no health, and logs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from string import Template

from attrs import frozen

HERE = Path(__file__).parent
MODULES = (
    "direct",
    "direct_again",
    "haproxy",
    "haproxy_splice",
    "nginx",
    "nginx_zone",
    "portforward",
    "txlb_reactor",
    "txlb_epoll",
)


@frozen
class Plan:
    """What a proxy is to do: listen on `port` of 127.0.0.1 and spread `connections` at most over `backends`.

    `workers` is the number of its processes, or of its threads where it has these instead. `environment` is what is set
    for it beside the bench's own.
    """

    port: int
    backends: tuple[tuple[str, int], ...]
    connections: int
    strategy: str = "round-robin"  # or least-connections
    workers: int = 1
    environment: tuple[tuple[str, str], ...] = ()


@frozen
class Peer:
    """One proxy.

    `version` gives None where it is not installed. `command` writes its configuration into a folder and gives the
    words that start it; None of them: no proxy at all, the load goes to the backend.
    """

    name: str
    version: Callable[[], str | None]
    command: Callable[[Plan, Path], list[str]] | None
    balances: bool = True
    only: tuple[str, ...] = ()  # the scenarios it takes part in; empty: all
    note: str = ""


def peer(name: str) -> Peer:
    """The peer of that name; KeyError where there is none."""
    module = name.replace("-", "_")
    if module not in MODULES:
        raise KeyError(name)
    found: Peer = import_module(f"bench.peers.{module}").PEER
    return found


def names() -> list[str]:
    """All peers' names, in the order of the report."""
    return [module.replace("_", "-") for module in MODULES]


def fill(template: str, folder: Path, **values: object) -> Path:
    """Write one of this folder's configurations with its $NAMES filled in, and return where it is."""
    text = Template((HERE / template).read_text()).substitute({name: str(value) for name, value in values.items()})
    written = folder / template
    written.write_text(text)
    return written
