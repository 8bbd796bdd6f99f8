"""The command: `python -m bench.soak --help`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, field

from bench import machine
from bench.native import Backend, build
from bench.process import BenchError, Process, accepts, end_by_exception, free_port, wait_for
from bench.soak.faults import Faults
from bench.soak.traffic import Traffic
from bench.soak.verdict import at_rest, flat, growth, left_over, troubles

SETTLE = 45.0
"""Seconds in which all must be as it was."""

BASELINE = 5.0
"""Seconds in which the least is taken for the baseline: twice what the longest timer of an idle balancer lasts."""


@define
class Soak:
    """One soak: the processes, what they did, and what was found wrong."""

    options: argparse.Namespace
    folder: Path
    stack: ExitStack
    resident: list[int] = field(factory=list)
    faults: list[str] = field(factory=list)

    def run(self) -> int:
        """Soak, settle, judge; prints figures. The number of things that are wrong."""
        rng, cpus = random.Random(self.options.seed), machine.processors()
        build(self.folder)
        backends = [Backend(self.folder, cpus[1]) for _ in range(4)]
        self.stack.callback(lambda: [backend.stop() for backend in backends])
        port, config = free_port(), self.folder / "config.yaml"
        command: list[str | Path] = [sys.executable, "-m", "bench.soak.inside", config, self.folder / "told"]
        engines = tuple(self.options.engines.split(","))
        trouble = Faults(config, port, engines, backends, self.folder, cpus[1], None, rng)  # type: ignore[arg-type]
        trouble.write()
        balancer = self.stack.enter_context(Process(command, cpus[0], self.folder / "log"))
        trouble.balancer = balancer
        wait_for(partial(_up, balancer, port), 30, "the balancer is up")
        traffic = Traffic(port, rng)
        asyncio.run(_for_a_moment(traffic))  # what is made at the first connection belongs to the baseline
        before = self._baseline(balancer)
        traffic.counts.clear()
        asyncio.run(self._soak(balancer, traffic, trouble))
        after = self._settled(balancer, before)
        self._judge(traffic, before, after)
        self._show(traffic, trouble, before, after)
        if balancer.stop(60) != 0:
            self.faults.append("the balancer did not end with 0 at SIGTERM")
        self._show_faults()
        return len(self.faults)

    async def _soak(self, balancer: Process, traffic: Traffic, trouble: Faults) -> None:
        clients = asyncio.create_task(traffic.run(self.options.clients))
        bad = asyncio.create_task(trouble.run())
        end = time.monotonic() + self.options.minutes * 60
        pause = min(5.0, self.options.minutes * 60 / 50)
        while time.monotonic() < end:
            await asyncio.sleep(pause)
            balancer.alive()
            self.resident.append(balancer.memory()[0])
            for task in (clients, bad):
                if task.done():
                    task.result()
        trouble.stopped = True
        await bad
        traffic.stopped = True
        await clients

    def _baseline(self, balancer: Process) -> dict[str, int]:
        """What it holds at rest: the least that is seen in a while, which is longer than its timers last."""
        begin, seen = time.monotonic(), list[dict[str, int]]()
        while not seen or time.monotonic() - begin < BASELINE:
            held = self._held(balancer)
            if not held["pairs"]:
                seen.append(held)
            elif time.monotonic() - begin > SETTLE:
                raise BenchError("the first connections do not end")
            time.sleep(0.1)
        return at_rest(seen)

    def _settled(self, balancer: Process, before: dict[str, int]) -> dict[str, int]:
        """What it holds once that is the same as `before`, or after a while."""
        end = time.monotonic() + SETTLE
        while left_over(before, now := self._held(balancer)) and time.monotonic() < end:
            time.sleep(0.1)
        return now

    def _held(self, balancer: Process) -> dict[str, int]:
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        os.kill(balancer.popen.pid, signal.SIGRTMIN)
        wait_for(partial(_there, balancer, told), 30, "the balancer tells what it holds")
        held: dict[str, int] = json.loads(told.read_text())
        return held

    def _judge(self, traffic: Traffic, before: dict[str, int], after: dict[str, int]) -> None:
        for name, count in left_over(before, after).items():
            self.faults.append(f"{name}: {count:+d} since the start")
        if not flat(self.resident):
            self.faults.append(f"resident memory grew by {growth(self.resident):,} KiB")
        for name, count in traffic.counts.items():
            if name.endswith(("WRONG", "HUNG")):
                self.faults.append(f"{name}: {count}")
        if not any(name.endswith("right") for name in traffic.counts):
            self.faults.append("no connection went right")
        for line in troubles((self.folder / "log").read_text(errors="replace").splitlines()):
            self.faults.append(f"log: {line}")

    def _show(self, traffic: Traffic, trouble: Faults, before: dict[str, int], after: dict[str, int]) -> None:
        rows: dict[str, Any] = {name: f"{count:,}" for name, count in sorted(traffic.counts.items())}
        rows |= {f"fault: {name}": count for name, count in sorted(trouble.counts.items())}
        names = sorted(before | after)
        rows |= {name: f"{before.get(name, 0)} before, {after.get(name, 0)} after" for name in names}
        rows["resident memory"] = f"{self.resident[0]:,} to {self.resident[-1]:,} KiB, {growth(self.resident):+,} KiB"
        for name, value in rows.items():
            print(f"{name:<28} {value}")

    def _show_faults(self) -> None:
        for fault in self.faults[:40]:
            print(f"WRONG  {fault}")
        print("as it was before" if not self.faults else f"{len(self.faults)} things are wrong")


def _up(balancer: Process, port: int) -> bool:
    balancer.alive()
    return accepts("127.0.0.1", port)


def _there(balancer: Process, path: Path) -> bool:
    balancer.alive()
    return path.exists()


async def _for_a_moment(traffic: Traffic) -> None:
    clients = asyncio.create_task(traffic.run(8))
    await asyncio.sleep(2)
    traffic.stopped = True
    await clients
    traffic.stopped = False


def main(argv: list[str] | None = None) -> int:
    """0 when everything is as it was, else 1."""
    made = argparse.ArgumentParser("python -m bench.soak", description="Random traffic, faults and reloads.")
    made.add_argument("--minutes", type=float, default=10.0)
    made.add_argument("--clients", type=int, default=40, help="at a time")
    made.add_argument("--engines", default="epoll,reactor", help="a reload takes one of them")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--keep", type=Path, help="leave the balancer's log there")
    options = made.parse_args(argv)
    end_by_exception()
    machine.raise_limit()
    with tempfile.TemporaryDirectory(prefix="txlb-soak-") as folder, ExitStack() as stack:
        try:
            return 1 if Soak(options, Path(folder), stack).run() else 0
        except BenchError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        finally:
            if options.keep:
                options.keep.write_bytes((Path(folder) / "log").read_bytes())


if __name__ == "__main__":
    sys.exit(main())
