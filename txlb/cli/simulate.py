"""`txlb simulate FILE`: what would these strategies do with this pool. See `txlb.simulate`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import yaml
from attrs import evolve
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from txlb import config, registry
from txlb.cli._choice import choose_pool
from txlb.errors import ConfigError, OptionError, Problem
from txlb.simulate.changes import parse_changes
from txlb.simulate.plot import plot
from txlb.simulate.results import Result, summarize
from txlb.simulate.service import parse_services
from txlb.simulate.simulation import Plan, Simulation
from txlb.simulate.table import tables
from txlb.simulate.trace import read_trace
from txlb.simulate.workload import Workload, synthetic
from txlb.specs import PoolSpec, StrategySpec

HELP = "try strategies on a pool's configuration, on a virtual clock"

Strategies = tuple[StrategySpec, ...]
_MOST_ARRIVALS = 20_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Everything has a default: `txlb simulate config.yaml` shows the pool's own strategy."""
    add = parser.add_argument
    add("file", nargs="?", default="config.yaml", help="the configuration (default: %(default)s)")
    add("--pool", help="which pool, where there are several")
    add("--strategy", action="append", default=[], metavar="S", help="a name, or as in the configuration; repeatable")
    add("-n", "--count", type=int, metavar="N", help="how many arrivals (default: 100000, or the whole trace)")
    add("--pattern", default="poisson", help="poisson, constant, bursts or bursts:SIZE (default: %(default)s)")
    add("--rate", type=float, help="arrivals a second (default: what --load asks for)")
    add("--load", type=float, default=0.8, help="share of the backends' capacity (default: %(default)s)")
    add("--trace", metavar="FILE", help="arrivals, clients and durations from an access log of JSON lines")
    add("--speed", type=float, default=1.0, help="play the trace so many times as fast (default: %(default)s)")
    add("--clients", type=int, default=1000, help="how many clients there are (default: %(default)s)")
    add("--skew", type=float, default=0.0, help="0: all clients alike; 1: the n-th comes 1/n as often")
    add("--service", action="append", default=[], metavar="[NAME=]MODEL",
        help="constant:T exponential:T lognormal:T[:SIGMA] slow:FACTOR failing:SHARE (default: exponential:20ms)")  # fmt: skip
    add("--concurrency", type=int, metavar="C",
        help="served at once by a backend of the least weight; 0: no limit (default: 4, with a trace 0)")  # fmt: skip
    add("--balancers", type=int, default=1, help="how many balancers, each with its own view (default: 1)")
    add("--leave", action="append", default=[], metavar="NAME@TIME", help="a backend leaves; repeatable")
    add("--join", action="append", default=[], metavar="NAME@TIME", help="a backend joins; repeatable")
    add("--seed", default="1", help="the same seed gives the same output (default: %(default)s)")
    add("--json", action="store_true", help="print JSON")
    add("--plot", metavar="FILE.svg", help="write a picture")


def run(options: argparse.Namespace) -> int:
    """Simulate each strategy under the same plan. Bad input leaves as ConfigError, OptionError or UnknownPlugin."""
    _check_numbers(options)
    loaded = config.load(options.file)
    pool = choose_pool(loaded, options.file, options.pool)
    strategies = _strategies(options.strategy, pool)
    plan = make_plan(options, pool)
    results = _simulate(plan, strategies)
    if options.plot:
        _write(options.plot, plot(results, describe(plan)))
    if options.json:
        print(json.dumps({"plan": describe(plan), "results": [r.as_json() for r in results]}, indent=1))
    else:
        _print(plan, results)
    return 0


def make_plan(options: argparse.Namespace, pool: PoolSpec) -> Plan:
    """The plan that the options ask for. Raises ConfigError for the trace, OptionError for the rest."""
    base, services = parse_services(options.service)
    changes = parse_changes(options.leave, options.join, pool.backends)
    concurrency = options.concurrency
    if concurrency is None:
        concurrency = 0 if options.trace else 4
    nothing = Workload(array("d"), array("l"), array("d"), ())
    plan = Plan(
        pool, nothing, registry.strategies(), base, services, concurrency, options.balancers, changes, options.seed
    )
    unknown = sorted(services.keys() - {spec.name for spec in plan.specs})
    if unknown:
        known = ", ".join(spec.name for spec in plan.specs)
        raise OptionError("--service", f"there is no backend {unknown[0]!r}; known: {known}")
    if not any(spec.weight for spec in plan.specs):
        raise OptionError("", f"pool {pool.name}: every backend has weight 0, so none gets a connection")
    workload = _workload(options, plan)
    if changes and changes[-1].at > workload.duration:
        late = changes[-1]
        where = f"{late.name}@{late.at:g}s is after the last arrival, which comes at {workload.duration:.4g} s"
        raise OptionError("--join" if late.joins else "--leave", where)
    return evolve(plan, workload=workload)


def describe(plan: Plan) -> str:
    """The plan in a line."""
    workload, count = plan.workload, len(plan.workload.times)
    rate = count / workload.duration if workload.duration else 0.0
    parts = [f"{count} arrivals", f"{rate:.4g} a second", f"{len(workload.clients)} clients"]
    parts.append(f"{len(plan.specs)} backends")
    capacity = plan.capacity()
    if capacity and not workload.recorded:
        parts += [f"load {rate / capacity:.2f}"]
    parts.append(f"{plan.concurrency} at once a unit of weight" if plan.concurrency else "no limit at once")
    if plan.balancers > 1:
        parts.append(f"{plan.balancers} balancers")
    return " · ".join([f"pool {plan.pool.name}", *parts, f"seed {plan.seed}"])


def _workload(options: argparse.Namespace, plan: Plan) -> Workload:
    if options.trace:
        return read_trace(options.trace, options.speed, options.count)
    rate = options.rate
    if rate is None:
        capacity = plan.capacity()
        if not capacity:
            raise OptionError("--rate", "is needed where --concurrency is 0 or nobody is there at the beginning")
        rate = options.load * capacity
    count = 100_000 if options.count is None else options.count
    return synthetic(count, rate, options.pattern, options.clients, options.skew, options.seed)


def _check_numbers(options: argparse.Namespace) -> None:
    limits: dict[str, tuple[float, float]] = {
        "count": (1, _MOST_ARRIVALS),
        "rate": (1e-6, 1e9),
        "load": (1e-6, 1000),
        "speed": (1e-6, 1e6),
        "clients": (1, 5_000_000),
        "skew": (0, 10),
        "concurrency": (0, 100_000),
        "balancers": (1, 1000),
    }
    for name, (least, most) in limits.items():
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and least <= value <= most):
            raise OptionError(f"--{name}", f"must be from {_written(least)} to {_written(most)}, not {_written(value)}")


def _written(number: float) -> str:
    return str(int(number)) if number == number // 1 and abs(number) < 1e15 else f"{number:g}"


def _strategies(written: list[str], pool: PoolSpec) -> list[tuple[str, Strategies]]:
    if not written:
        return [("+".join(spec.name for spec in pool.strategy), pool.strategy)]
    return [(_label(text), _parse_strategy(text)) for text in written]


def _label(text: str) -> str:
    return text.strip("{}[] ").removeprefix("name:").strip()


def _parse_strategy(text: str) -> Strategies:
    """A name, a mapping with options, or a list of these: what a configuration may hold, checked the same way."""
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise OptionError("--strategy", f"{text!r} is not YAML: {' '.join(str(error).split())}") from None
    return tuple(_parse_one(item, text) for item in (written if isinstance(written, list) else [written]))


def _parse_one(item: object, text: str) -> StrategySpec:
    options: dict[str, object] = dict(item) if isinstance(item, dict) else {"name": item}
    name = options.pop("name", None)
    if not isinstance(name, str) or not all(isinstance(key, str) for key in options):
        raise OptionError("--strategy", f"must be a name or {{name: …, options}}, not {text!r}")
    for problem in registry.strategies().check(name, options):
        raise OptionError(f"--strategy {name}", str(problem))
    return StrategySpec(name, options)


def _simulate(plan: Plan, strategies: list[tuple[str, Strategies]]) -> list[Result]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    results = []
    shown = Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)
    with shown as progress:
        for label, strategy in strategies:
            task = progress.add_task(label, total=len(plan.workload.times))
            simulation = Simulation(plan, strategy)
            simulation.run(_teller(progress, task))
            results.append(summarize(label, simulation))
    return results


def _teller(progress: Progress, task: object) -> Callable[[int], None]:
    return lambda arrivals: progress.update(task, completed=arrivals)  # type: ignore[arg-type]


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(file, 0, 0, "", f"cannot be written: {error.strerror}")]) from None


def _print(plan: Plan, results: list[Result]) -> None:
    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console.width = 160
    console.print(describe(plan), style="dim", markup=False)
    for table in tables(results):
        console.print()
        console.print(table)
