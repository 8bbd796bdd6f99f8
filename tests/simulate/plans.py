"""Small plans for simulations, so that a test says only what it is about."""

from __future__ import annotations

from array import array
from typing import Any

from attrs import evolve

from txlb import registry
from txlb.simulate.changes import Change
from txlb.simulate.results import Result, summarize
from txlb.simulate.service import DEFAULT, Service
from txlb.simulate.simulation import Plan, Simulation
from txlb.simulate.workload import Workload, synthetic
from txlb.specs import BackendSpec, PoolSpec, StrategySpec

NOTHING = Workload(array("d"), array("l"), array("d"), ())


def backends(count: int) -> tuple[BackendSpec, ...]:
    """b000, b001, … of weight 1."""
    return tuple(BackendSpec(f"b{number:03}", f"tcp:b{number}:1") for number in range(count))


def plan(
    specs: tuple[BackendSpec, ...] | int,
    arrivals: int = 10_000,
    load: float = 0.8,
    rate: float | None = None,
    pattern: str = "poisson",
    clients: int = 500,
    service: Service = DEFAULT,
    services: dict[str, Service] | None = None,
    concurrency: int = 4,
    balancers: int = 1,
    changes: tuple[Change, ...] = (),
    seed: str = "1",
    retries: int = 3,
) -> Plan:
    """A plan with a synthetic workload; `specs` may be a number of backends."""
    pool = PoolSpec("web", backends(specs) if isinstance(specs, int) else specs, retries=retries)
    made = Plan(
        pool, NOTHING, registry.strategies(), service, services or {}, concurrency, balancers, changes, seed
    )  # fmt: skip
    return evolve(
        made, workload=synthetic(arrivals, rate or load * made.capacity(), pattern, clients, 0.0, seed)
    )  # fmt: skip


def simulate(made: Plan, *names: str, **options: Any) -> Simulation:
    """Run these strategies as a chain; the options are those of the first."""
    chain = tuple(StrategySpec(name, options if index == 0 else {}) for index, name in enumerate(names))
    simulation = Simulation(made, chain)
    simulation.run()
    return simulation


def result(made: Plan, *names: str, **options: Any) -> Result:
    """Run and summarize."""
    return summarize("+".join(names), simulate(made, *names, **options))
