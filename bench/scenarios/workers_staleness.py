"""How long after a change in one of four workers the others know of it, at rest and while they are busy.

The balancer runs a strategy of the bench's (`bench.spy`) that tells when it picks and when it is told of a changed load;
so the way measured is the whole one: from a pick, through the shared counters, to another worker's strategy. A worker
looks at the others every 0.1 s, and before it accepts where its last look is over 20 ms old; so this is how long it takes to be
told, not how old the loads are that a pick sees.
"""

from __future__ import annotations

import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import evolve, frozen

from bench import spy
from bench.peers import Plan
from bench.process import ROOT, BenchError
from bench.scenarios import Base, Metric, Running

WORKERS, HELD, APART, PROBES = 4, 64, 0.08, 25
LOG = "spy.log"


@frozen
class Staleness(Base):
    """See the module."""

    def plan(self, plan: Plan, point: int | None, folder: Path) -> Plan:
        """Four workers, and the strategy that tells."""
        environment = (("PYTHONPATH", str(ROOT / "bench" / "spying")), (spy.FILE, str(folder / LOG)))
        return evolve(plan, workers=WORKERS, strategy="bench-spy", environment=environment)

    def run(self, running: Running, point: int | None) -> dict[str, float]:
        """ms."""
        with running.load("hold", idle=HELD):
            rest = sorted(_probe(running))
        seconds = 2 * APART * PROBES * 1.2
        with (
            running.load("closed", connections=HELD, inflight=HELD, seconds=seconds) as load,
            ThreadPoolExecutor() as pool,
        ):
            time.sleep(APART)
            work = pool.submit(load.work)
            busy = sorted(_probe(running))
            work.result()
        return {
            "rest": rest[len(rest) // 2],
            "rest-max": rest[-1],
            "busy": busy[len(busy) // 2],
            "busy-max": busy[-1],
        }


def _probe(running: Running) -> list[float]:
    """The delays after single connections that come and go, at times that do not fall into step with anything."""
    assert running.own is not None
    told, rng = running.own / LOG, random.Random(2)
    begin = time.monotonic_ns()
    for _ in range(PROBES):
        with socket.create_connection(("127.0.0.1", running.port), 5):
            time.sleep(APART * (1 + rng.random() / 4))
        time.sleep(APART * (1 + rng.random() / 4))
    delays = spy.delays(line for line in spy.read(told.read_text()) if line.at > begin)
    if len(delays) < PROBES:
        raise BenchError(f"{PROBES} picks, and only {len(delays)} times did another worker learn of one")
    return delays


SCENARIO = Staleness(
    "workers-staleness",
    "how old shared counters are",
    (
        Metric("rest", "4 workers: until another knows, at rest, median", "ms"),
        Metric("rest-max", "4 workers: until another knows, at rest, longest", "ms"),
        Metric("busy", "4 workers: until another knows, under load, median", "ms"),
        Metric("busy-max", "4 workers: until another knows, under load, longest", "ms"),
    ),
    among=("txlb-epoll",),
    pinned=False,
    quick=False,
    rounds=3,
)
