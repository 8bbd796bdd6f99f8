"""Limits over several workers: never exceeded, and reached as long as there is demand.

Clients count themselves: one is served from its first byte until just before it closes, a span that lies within the one
in which the balancer counts it. So their count never being above the limit is what an operator may rely on.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable

from attrs import define, field

from tests.integration import programs
from tests.integration.crew import CrewCase

LIMIT = 100
CLIENTS = 400


@define
class Crowd:
    """Clients that all want in at once. Each stays until `LIMIT` have been in together, or all the rest are done."""

    port: int
    retry: bool = False
    served: int = 0
    most: int = 0
    done: int = 0
    resets: int = 0
    full: asyncio.Event = field(factory=asyncio.Event)

    async def run(self) -> None:
        """All of them, to the end."""
        await asyncio.gather(*(self.client() for _ in range(CLIENTS)))

    async def client(self) -> None:
        """One of them. Where excess is rejected it tries again until it is served."""
        while not await self.visit():
            self.resets += 1
            if not self.retry:
                raise AssertionError("a client was rejected")
            await asyncio.sleep(0.005)

    async def visit(self) -> bool:
        """Connect; returns whether it was served."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            served = await reader.read(1) != b""
        except ConnectionError:
            return False
        if served:
            await self.stay()
        writer.close()
        return served

    async def stay(self) -> None:
        """Be counted, and hold the place until all places have been held at once."""
        self.served += 1
        self.most = max(self.most, self.served)
        if self.served >= LIMIT:
            self.full.set()
        await asyncio.wait_for(self.full.wait(), 30)
        await asyncio.sleep(0.01)
        self.served -= 1
        self.done += 1


class TestLimits(CrewCase):
    """A limit of 100, 4 workers, 400 clients."""

    def setUp(self) -> None:
        super().setUp()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def crowd(self, retry: bool = False, before: Callable[[], None] = lambda: None, **values: object) -> Crowd:
        """Let the clients loose on a balancer with these limits; asserts what holds for every limit."""
        self.echoes("green")
        changes = {key: value for key, value in values.items() if key != "backend"}
        if "backend" in values:
            self.values["backends"] = self.values["backends"].replace("}", f", {values['backend']}}}")
        balancer = self.start(workers=4, **changes)
        before()
        crowd = Crowd(self.values["web"], retry)
        asyncio.run(asyncio.wait_for(crowd.run(), 90))
        self.assertEqual(crowd.done, CLIENTS)
        self.assertEqual(crowd.most, LIMIT)
        programs.wait_until(lambda: self.state()["listeners"]["web"]["open"] == 0, "the last places back")
        self.assert_drains(balancer)
        return crowd

    def test_listener(self) -> None:
        """A listener's limit: the others wait to be accepted, nobody is rejected."""
        self.crowd(listener=f", max_connections: {LIMIT}")

    def test_listener_of_the_reactor_engine(self) -> None:
        """The same with the reactor engine."""
        self.crowd(listener=f", max_connections: {LIMIT}, engine: reactor")

    def test_backend(self) -> None:
        """A backend's limit: the others wait in the pool's queues, and are woken by places made in other workers."""
        self.crowd(backend=f"max_connections: {LIMIT}", pool="    queue: {size: 1000, timeout: 60s}")

    def test_pool(self) -> None:
        """A pool's limit, likewise."""
        self.crowd(pool=f"    max_connections: {LIMIT}\n    queue: {{size: 1000, timeout: 60s}}")

    def test_client_address(self) -> None:
        """A limit for each client address: excess is rejected, whichever worker gets it; who tries again gets in."""
        crowd = self.crowd(retry=True, listener=f", max_connections_per_client: {LIMIT}")
        self.assertGreater(crowd.resets, 0)

    def test_after_a_death(self) -> None:
        """A worker that was killed leaves nothing counted: the limit is reached again."""

        def kill() -> None:
            held = [self.connected()[0] for _ in range(40)]
            os.kill(self.state()["workers"][0]["pid"], signal.SIGKILL)
            for client in held:
                client.close()

        self.crowd(listener=f", max_connections: {LIMIT}", before=kill)
