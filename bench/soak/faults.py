"""What is done to the backends and to the configuration while clients come and go."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import yaml
from attrs import define, field

from bench.native import Backend
from bench.process import BenchError, Process

STRATEGIES = ("round-robin", "least-connections", "power-of-two", "least-time", "source-hash")


def configuration(port: int, backends: list[int], engine: str, strategy: str, weights: list[int]) -> str:
    """YAML for these; timeouts are short, so that nothing lingers when the soak ends."""
    timeouts = {"connect": "1s", "idle": "30s", "half_close": "3s", "linger": "1s"}
    listed = [
        {"name": f"b{n}", "connect": f"tcp:127.0.0.1:{at}", "weight": weight}
        for n, (at, weight) in enumerate(zip(backends, weights, strict=True))
    ]
    listener = {"listen": f"tcp:{port}:interface=127.0.0.1", "pool": "soak", "engine": engine, "timeouts": timeouts}
    health = {"check": "tcp", "interval": "500ms", "timeout": "300ms"}
    pool = {"strategy": strategy, "backends": listed, "health": health}
    return yaml.safe_dump({"listeners": {"soak": listener}, "pools": {"soak": pool}})


@define
class Faults:
    """Does something bad every so often, until `stopped`; then everything is repaired."""

    config: Path
    port: int
    engines: tuple[str, ...]
    backends: list[Backend]
    folder: Path
    cpu: int
    balancer: Process
    rng: random.Random
    counts: Counter[str] = field(factory=Counter)
    stopped: bool = False

    async def run(self) -> None:
        """One fault after the other."""
        faults = [self._kill, self._stall, self._reload, self._reload, self._spoil]
        while not self.stopped:
            await asyncio.sleep(self.rng.uniform(0.1, 1.0))
            fault = self.rng.choice(faults)
            await fault()
            self.counts[fault.__name__.strip("_")] += 1
        self.write()
        self._hang_up()

    def write(self, engine: str = "", strategy: str = STRATEGIES[0], weights: list[int] | None = None) -> None:
        """Write the configuration whole; with no words, the one it began with."""
        ports = [backend.port for backend in self.backends]
        text = configuration(self.port, ports, engine or self.engines[0], strategy, weights or [1] * len(ports))
        draft = self.config.with_suffix(".draft")
        draft.write_text(text)
        draft.rename(self.config)

    async def _kill(self) -> None:
        """A backend dies with all its connections, and comes back on the same port."""
        n = self.rng.randrange(len(self.backends))
        port = self.backends[n].port
        os.kill(self.backends[n].popen.pid, signal.SIGKILL)
        self.backends[n].stop()
        await asyncio.sleep(self.rng.uniform(0.05, 1.5))
        self.backends[n] = await self._start(port)

    async def _start(self, port: int) -> Backend:
        for _ in range(100):
            try:
                return Backend(self.folder, self.cpu, port)
            except BenchError:
                await asyncio.sleep(0.1)
        raise BenchError(f"port {port} does not come back")

    async def _stall(self) -> None:
        """A backend that stops for a while; its kernel goes on accepting."""
        pid = self.rng.choice(self.backends).popen.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.rng.uniform(0.05, 1.0))
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _reload(self) -> None:
        """Another engine, another strategy, other weights."""
        weights = [self.rng.choice((0, 1, 1, 5)) for _ in self.backends]
        weights[0] = 1
        self.write(self.rng.choice(self.engines), self.rng.choice(STRATEGIES), weights)
        self._hang_up()

    async def _spoil(self) -> None:
        """A file that is wrong: the balancer keeps what it has."""
        self.config.write_text("listeners: {soak: {listen: [}")
        self._hang_up()
        await asyncio.sleep(0.2)
        self.write()

    def _hang_up(self) -> None:
        os.kill(self.balancer.popen.pid, signal.SIGHUP)
