"""How even four workers are: which of them accepts, and how far least-connections is from a perfect spread.

A hundred connections over forty backends: a worker that knows only its own quarter puts them on the same 25 backends as
the next one. `misplaced` is the share of connections that would have to move for all backends to differ by one at most:
after all came in one burst, which is quicker than any news among workers, and, with the same number open, after each of
them ended and another came, on average, several times, 500 a second.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from attrs import define, evolve, field, frozen

from bench.peers import Plan
from bench.process import wait_for
from bench.scenarios import Base, Metric, Running
from bench.spread import by_backend, fullest, misplaced, sockets, table

WORKERS, BACKENDS, HELD, ACCEPTED = 4, 40, 100, 400
CHANGES, PACE, LOOKS = 100, 0.002, 5


@define
class Clients:
    """Connections that are held open, and say nothing."""

    running: Running
    stack: ExitStack
    rng: random.Random = field(factory=lambda: random.Random(1))
    held: list[socket.socket] = field(factory=list)

    def open(self, count: int) -> None:
        """As fast as they can be."""
        for _ in range(count):
            client = socket.create_connection(("127.0.0.1", self.running.port), 5)
            self.held.append(client)
            self.stack.callback(client.close)

    def change(self, count: int) -> None:
        """One after the other ends and is replaced, at random, at a steady pace."""
        due = time.monotonic()
        for _ in range(count):
            self.held.pop(self.rng.randrange(len(self.held))).close()
            self.open(1)
            due += PACE
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self) -> None:
        """All of them; returns when the backends know."""
        for client in self.held:
            client.close()
        self.held = []
        self.counts()

    def counts(self) -> list[int]:
        """Where they are, once all have arrived."""
        hosts = [host for host, _ in self.running.backends]
        port = self.running.backends[0][1]
        counted: Callable[[], list[int]] = lambda: by_backend(table(), hosts, port)  # noqa: E731
        wait_for(lambda: sum(counted()) == len(self.held), 10, f"{len(self.held)} connections at the backends")
        return counted()


@frozen
class Spread(Base):
    """See the module."""

    def plan(self, plan: Plan, point: int | None, folder: Path) -> Plan:
        """Four workers, least connections."""
        return evolve(plan, workers=WORKERS, strategy="least-connections")

    def backends(self, point: int | None) -> int:
        """More than a worker's part of the connections."""
        return BACKENDS

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """In %."""
        assert running.process is not None
        with ExitStack() as stack:
            clients = Clients(running, stack)
            clients.counts()
            found = _accepted(running.process.popen.pid, clients)
            clients.open(HELD)
            burst, changed = misplaced(clients.counts()), []
            for _ in range(LOOKS):
                clients.change(CHANGES)
                changed.append(misplaced(clients.counts()))
            clients.close()
        return {**found, "burst": burst * 100, "churn": sum(changed) / LOOKS * 100}


def _accepted(pid: int, clients: Clients) -> dict[str, float]:
    """By how much the busiest process accepts more than the mean; nothing where there is one process of threads."""
    before = sockets(pid)
    clients.open(ACCEPTED)
    clients.counts()
    after = sockets(pid)
    clients.close()
    grown = [count - before.get(process, 0) for process, count in after.items()]
    workers = sorted(grown)[-WORKERS:]
    return {"accepted": fullest(workers) * 100} if len(grown) >= WORKERS else {}


SCENARIO = Spread(
    "workers-spread",
    "how even four workers are",
    (
        Metric("accepted", "4 workers: the busiest accepts more than the mean by", "%"),
        Metric("burst", "4 workers, least connections: misplaced after a burst", "%"),
        Metric("churn", "4 workers, least connections: misplaced under change", "%"),
    ),
    among=("haproxy", "nginx", "nginx-zone", "txlb-epoll"),
    pinned=False,
    quick=False,
    rounds=3,
)
