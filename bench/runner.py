"""Runs scenarios over peers in interleaved rounds, and ends everything that it started, whatever happens."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from attrs import define, evolve, frozen

from bench import machine
from bench.native import Backend, build
from bench.peers import Peer, Plan
from bench.process import BenchError, Process, accepts, free_port, wait_for
from bench.results import Results
from bench.scenarios import Base, Running, Size, addresses

START_LIMIT = 60.0
Enter = Callable[[], AbstractContextManager[Running]]


@frozen
class Order:
    """What is to be run."""

    scenarios: tuple[Base, ...]
    peers: tuple[Peer, ...]
    rounds: int
    size: Size
    strategy: str = "round-robin"


@define
class Runner:
    """`say` is told what is going on, one line at a time."""

    order: Order
    results: Results
    folder: Path
    backend: Backend
    cpus: tuple[int, int]
    say: Callable[[str], None]

    def run(self) -> None:
        """All scenarios, at all their points."""
        for scenario in self.order.scenarios:
            points = scenario.points(self.order.size)
            for some in [points] if scenario.together else [(point,) for point in points]:
                self._scenario(scenario, some)

    def _scenario(self, scenario: Base, points: Sequence[int | None]) -> None:
        with ExitStack() as stack:
            entrants = {point: self._entrants(scenario, point, stack) for point in points}
            slices = 1 if self.order.size.quick else scenario.slices
            for number in range(min(self.order.rounds, scenario.rounds) * slices):
                for point in points:
                    self._round(scenario, point, number, entrants[point])

    def _round(self, scenario: Base, point: int | None, number: int, entrants: list[tuple[str, Enter]]) -> None:
        turn = number % max(1, len(entrants))
        figures: dict[str, dict[str, float]] = {}
        for name, enter in entrants[turn:] + entrants[:turn]:
            self.say(f"{scenario.name}{'' if point is None else f' {point:,}'}: round {number + 1}, {name}")
            self._once(scenario, point, name, enter, figures)
        self.results.add_round(scenario, point, number, {n: figures[n] for n, _ in entrants if n in figures})

    def _once(
        self, scenario: Base, point: int | None, name: str, enter: Enter, figures: dict[str, dict[str, float]]
    ) -> None:
        try:
            with enter() as running:
                figures[name] = scenario.run(running, point)
                if running.process:
                    running.process.alive()
        except BenchError as error:
            where = "" if point is None else f" at {point:,}"
            self.results.failures.append(f"{scenario.name}{where}, {name}: {error}")

    def _entrants(self, scenario: Base, point: int | None, stack: ExitStack) -> list[tuple[str, Enter]]:
        own = scenario.entrants()
        if own is not None:
            return [(name, _constant(self._running(name, 0, None))) for name in own]
        peers = [peer for peer in self.order.peers if self._takes_part(peer, scenario)]
        if scenario.fresh:
            return [(peer.name, self._starter(peer, scenario, point)) for peer in peers]
        entrants: list[tuple[str, Enter]] = []
        for peer in peers:
            try:
                running = stack.enter_context(self._starter(peer, scenario, point)())
            except BenchError as error:
                self.results.failures.append(f"{scenario.name}, {peer.name}: {error}")
            else:
                entrants.append((peer.name, _constant(running)))
        return entrants

    def _takes_part(self, peer: Peer, scenario: Base) -> bool:
        if scenario.among and peer.name.partition("+")[0] not in scenario.among:
            return False
        if peer.only and scenario.name not in peer.only:
            return False
        return scenario.direct if peer.command is None else peer.balances or scenario.name != "backends"

    def _starter(self, peer: Peer, scenario: Base, point: int | None) -> Enter:
        @contextmanager
        def start() -> Iterator[Running]:
            if peer.command is None:
                yield self._running(peer.name, self.backend.port, None)
                return
            folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=self.folder))
            limit = machine.room(machine.raise_limit()) + 50
            backends = addresses(scenario.backends(point), self.backend.port)
            plan = Plan(free_port(), backends, limit, self.order.strategy)
            plan = scenario.plan(plan, point, folder)
            cpu = self.cpus[0] if scenario.pinned else None
            command = peer.command(plan, folder)
            with Process(command, cpu, folder / "log", environment=plan.environment) as process:
                wait_for(partial(_up, process, plan.port), START_LIMIT, f"{peer.name} is up")
                running = evolve(self._running(peer.name, plan.port, process), backends=backends, own=folder)
                self._warm(running, plan)
                yield running

        return start

    def _warm(self, running: Running, plan: Plan) -> None:
        """Have it serve once: with several workers, as many connections as it takes for each of them to be up."""
        one = plan.workers == 1
        words = {"connections": 1, "seconds": 0.05} if one else {"inflight": 64, "seconds": 0.3}
        with running.load("closed" if one else "fresh", **words) as load:
            load.work()

    def _running(self, name: str, port: int, process: Process | None) -> Running:
        return Running(name, port, process, self.folder, self.cpus[1], self.order.size)


def _up(process: Process, port: int) -> bool:
    process.alive()
    return accepts("127.0.0.1", port)


def _constant(running: Running) -> Enter:
    @contextmanager
    def same() -> Iterator[Running]:
        yield running

    return same


def run(order: Order, options: dict[str, object], say: Callable[[str], None]) -> Results:
    """Run it all; raises BenchError when nothing can run at all, such as without a C compiler."""
    machine.prefer()
    versions, peers = installed(order.peers, say)
    limit = machine.room(machine.raise_limit())
    if order.size.connections > limit:
        say(f"the open-file limit leaves room for {limit:,} connections")
    order = evolve(order, peers=peers, size=evolve(order.size, connections=min(order.size.connections, limit)))
    results = Results(machine.describe(), dict(options), versions)
    cpus = machine.processors()
    with tempfile.TemporaryDirectory(prefix="txlb-bench-") as folder, ExitStack() as stack:
        build(Path(folder))
        backend = Backend(Path(folder), cpus[1])
        stack.enter_context(backend)
        try:
            Runner(order, results, Path(folder), backend, cpus, say).run()
        except (KeyboardInterrupt, SystemExit):  # what was measured so far is worth showing
            results.failures.append("interrupted: the rest is missing")
    return results


def installed(peers: Sequence[Peer], say: Callable[[str], None]) -> tuple[dict[str, str], tuple[Peer, ...]]:
    """(the versions of the peers that are here, these peers)."""
    found = {peer: version for peer in peers if (version := peer.version()) is not None}
    for peer in peers:
        if peer not in found:
            say(f"{peer.name} is not installed: left out")
    return {peer.name: version for peer, version in found.items()}, tuple(found)


def to_stderr(text: str) -> None:
    """Progress for people who wait: one line that is written over, where there is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
