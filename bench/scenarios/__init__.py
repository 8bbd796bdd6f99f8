"""What is measured, one file each.

A scenario is run once a round for each peer that is up, and gives one or more figures by the names in its `metrics`.
Where it has points (how many connections, how many backends), it is run at each of them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import frozen

from bench.native import Load
from bench.peers import Plan
from bench.process import Process

MODULES = (
    *("kept", "new", "bulk_one", "bulk_many", "idle", "latency", "pause", "connections", "backends", "pick"),
    *("workers_cost", "workers_rate", "workers_spread", "workers_staleness", "strategies"),
)


@frozen
class Metric:
    """One figure: its key in what `run` returns, what people call it, and its unit."""

    key: str
    title: str
    unit: str


@frozen
class Size:
    """How much: the full size, or the quick one."""

    seconds: float = 0.7
    open_loop: float = 1.0
    rate: int = 2000
    megabytes: int = 1024
    connections: int = 9900
    quick: bool = False


QUICK = Size(seconds=0.25, megabytes=128, connections=2000, quick=True)


@frozen
class Running:
    """A peer that is up, or (`process` is None) no proxy at all, and what it takes to put load on it.

    `backends` are those that it balances over; `own` is the folder that only it has.
    """

    name: str
    port: int
    process: Process | None
    folder: Path
    cpu: int
    size: Size
    backends: tuple[tuple[str, int], ...] = ()
    own: Path | None = None

    def load(self, mode: str, **options: Any) -> Load:
        """A load generator whose connections are open; used as a context manager it ends on the way out."""
        return Load(self.folder, self.cpu, self.port, mode=mode, **options)

    def cpu_seconds(self) -> float:
        """The proxy's processor time so far; 0 without one."""
        return self.process.cpu_seconds() if self.process else 0.0


@frozen
class Base:
    """What most scenarios are like; each adds `run`, which raises BenchError when what came back was not right.

    `fresh`: each run has a proxy of its own. `direct`: it has a meaning without a proxy. `added`: what it measures
    without a proxy is subtracted. `among`: the only peers that it compares, where these are not all. `pinned`: the proxy
    has one processor, and not all. `together`: the proxies of all points are up at once and have their turns in the same
    rounds, so that points can be compared. `quick`: it takes part in a quick run. `rounds`: no more of them
    are of use, for what hardly varies or takes long. `slices`: so many short rounds for each that is asked for.
    `named`: it is run only when it is named.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    fresh: bool = False
    direct: bool = False
    added: bool = False
    among: tuple[str, ...] = ()
    pinned: bool = True
    together: bool = False
    quick: bool = True
    rounds: int = 99
    slices: int = 1
    named: bool = False

    def points(self, size: Size) -> tuple[int | None, ...]:
        """At which points it is run; one None: it has none."""
        return (None,)

    def backends(self, point: int | None) -> int:
        """Over how many backends the proxies balance there."""
        return 4

    def plan(self, plan: Plan, point: int | None, folder: Path) -> Plan:
        """What else the proxies are to do there than what all are asked; `folder` is a proxy's own."""
        return plan

    def entrants(self) -> list[str] | None:
        """What is compared instead of the peers; None: the peers."""
        return None

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """One measurement: a figure for each of `metrics`."""
        raise NotImplementedError


def scenario(name: str) -> Base:
    """The scenario of that name; KeyError where there is none."""
    module = name.replace("-", "_")
    if module not in MODULES:
        raise KeyError(name)
    found: Base = import_module(f"bench.scenarios.{module}").SCENARIO
    return found


def chosen(name: str) -> list[Base]:
    """The scenario of that name, or all whose names begin with it and a hyphen; KeyError where there is none."""
    found = [scenario(one) for one in names() if one == name or one.startswith(f"{name}-")]
    if not found:
        raise KeyError(name)
    return found


def names() -> list[str]:
    """All scenarios' names, in the order of the report."""
    return [module.replace("_", "-") for module in MODULES]


def addresses(count: int, port: int) -> tuple[tuple[str, int], ...]:
    """That many backends: 127.1.x.y, all of which the one backend serves."""
    return tuple((f"127.1.{n // 250}.{n % 250 + 1}", port) for n in range(count))
