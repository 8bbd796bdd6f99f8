"""Every maximum and the queue, seen by clients and by backends, with both engines."""

from __future__ import annotations

import time

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.integration.bed import Bed, Client, until
from tests.integration.wire import Backend, close_own
from txlb.specs import BackendSpec, OutlierSpec, QueueSpec, RetryBudgetSpec, TimeoutsSpec

NO_EJECTION = OutlierSpec(failures=0)


class LimitsTests(Bed):
    """With the epoll engine."""

    async def waiting(self, port: int, count: int) -> list[Client]:
        """So many clients in the queue, in this order."""
        clients = []
        for _ in range(count):
            before = self.pool.queued
            clients.append(await self.dial(port))
            await until(lambda before=before: self.pool.queued == before + 1, "a place in the queue")
        return clients

    async def test_pool(self) -> None:
        """A pool's maximum holds over its backends; without a queue one more is reset at once."""
        servers = [await self.server(greets=True) for _ in range(2)]
        port = await self.balance(servers, max_connections=3)
        clients = [await self.stays(port) for _ in range(3)]
        self.assertEqual("", await self.name(port))
        clients[0].transport.abortConnection()
        await until(lambda: self.pool.open == 2, "room")
        self.assertNotEqual("", await self.name(port))
        self.assertEqual(1, self.outcomes()["rejected"])

    async def test_backend(self) -> None:
        """A backend never has more than its maximum, whatever the strategy likes; who it would have had goes elsewhere."""
        servers = [await self.server(greets=True) for _ in range(2)]
        port = await self.balance([servers[0].spec(max_connections=2), servers[1].spec()])
        names = [(await self.stays(port)).received for _ in range(10)]
        self.assertEqual((2, 8), (names.count(b"s0"), names.count(b"s1")))
        self.assertEqual(2, len(servers[0].open))

    async def test_client_address(self) -> None:
        """A client address over its maximum is reset, another one is served; a place given back is a place."""
        server = await self.server(greets=True)
        port = await self.balance([server], listener={"max_connections_per_client": 2})
        clients = [await self.stays(port) for _ in range(2)]
        self.assertIsNone(await self.ask(port, b"??"))
        self.assertEqual(b"s0", await self.ask(port, b"??", "127.0.0.2"))
        clients[0].transport.abortConnection()
        await until(lambda: self.balancer.open == 1, "room")
        self.assertEqual(b"s0", await self.ask(port, b"??"))

    async def test_listener(self) -> None:
        """Over a listener's maximum clients wait in the backlog, and are served when there is room."""
        server = await self.server(greets=True)
        port = await self.balance([server], listener={"max_connections": 3})
        clients = [await self.stays(port) for _ in range(3)]
        late = await self.dial(port)
        await deferLater(reactor, 0.1)
        self.assertEqual((3, b"", None), (server.dials, late.received, late.lost))
        clients[0].transport.loseConnection()
        await late.read(2)

    async def test_a_smaller_maximum(self) -> None:
        """A reload lowers the maximum below what is open: nobody is cut off, and the next is served when the last
        of them has left."""
        server = await self.server(greets=True)
        port = await self.balance([server], listener={"max_connections": 3})
        clients = [await self.stays(port) for _ in range(3)]
        await self.balancer.reload(self.changed(max_connections=1))
        late = await self.dial(port)
        for client in clients:
            await deferLater(reactor, 0.05)
            self.assertEqual((b"", None), (late.received, late.lost))
            client.transport.loseConnection()
        await late.read(2)
        self.assertEqual({"ok": 3}, self.outcomes())

    async def test_queue_is_fair(self) -> None:
        """Who came first is served first, one for each place that is given back."""
        server = await self.server(greets=True)
        port = await self.balance([server.spec(max_connections=1)], queue=QueueSpec(10, 30))
        serving = await self.stays(port)
        queue = await self.waiting(port, 5)
        while queue:
            serving.transport.loseConnection()
            serving = queue.pop(0)
            await serving.read(2)
            self.assertEqual([b""] * len(queue), [client.received for client in queue])

    async def test_queue_timeout(self) -> None:
        """Who waited for too long is reset, and nobody before; the queue is empty then."""
        server = await self.server(greets=True)
        port = await self.balance([server.spec(max_connections=1)], queue=QueueSpec(10, 0.3))
        await self.stays(port)
        began = time.monotonic()
        queue = await self.waiting(port, 3)
        for client in queue:
            await client.ended()
            self.assertTrue(client.was_reset)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)
        self.assertEqual((0, 3), (self.pool.queued, self.outcomes()["rejected"]))

    async def test_queue_is_full(self) -> None:
        """Who finds the queue full is reset at once; those in it are unharmed."""
        server = await self.server(greets=True)
        port = await self.balance([server.spec(max_connections=1)], queue=QueueSpec(2, 30))
        serving = await self.stays(port)
        queue = await self.waiting(port, 2)
        late = await self.dial(port)
        await late.ended(2)
        self.assertTrue(late.was_reset)
        serving.transport.loseConnection()
        await queue[0].read(2)

    async def test_leaving_the_queue(self) -> None:
        """A client that hangs up leaves the queue, and its place is not served; those behind move up."""
        server = await self.server(greets=True)
        port = await self.balance([server.spec(max_connections=1)], queue=QueueSpec(10, 30))
        serving = await self.stays(port)
        queue = await self.waiting(port, 3)
        queue[0].transport.abortConnection()
        await until(lambda: self.pool.queued == 2, "it to leave")
        serving.transport.loseConnection()
        await queue[1].read(2)
        self.assertEqual(2, server.dials)
        self.assertEqual(1, self.outcomes()["reset-by-client"])

    async def test_half_closed_in_the_queue(self) -> None:
        """A client that has said all and waits for its answer has not left."""
        server = await self.server()
        port = await self.balance([server.spec(max_connections=1)], queue=QueueSpec(10, 30))
        serving = await self.dial(port)
        await until(lambda: server.open, "the place to be taken")
        (client,) = await self.waiting(port, 1)
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        await deferLater(reactor, 0.05)
        self.assertEqual(1, self.pool.queued)
        serving.transport.loseConnection()
        self.assertEqual(b"question", await client.read(8))

    async def test_queue_while_all_are_down(self) -> None:
        """Who waits for a backend in maintenance is served the moment that it is back."""
        server = await self.server(greets=True)
        port = await self.balance([server], queue=QueueSpec(10, 30))
        self.pool.set_admin("s0", "maint", "the test")
        queue = await self.waiting(port, 3)
        self.pool.set_admin("s0", "ready", "the test")
        for client in queue:
            await client.read(2)

    async def test_retry_budget_in_an_outage(self) -> None:
        """All backends hang: retries are a fifth of what is open, so the backends see hardly more dials than there are
        clients, where without a budget they would see four times as many."""
        hanging = [Backend(backlog=0) for _ in range(4)]
        self.addCleanup(close_own)
        for backend in hanging:
            backend.clog()
        specs = [BackendSpec(f"h{n}", backend.place.client_string) for n, backend in enumerate(hanging)]
        dials = {}
        for least in (3, 1000):
            budget = RetryBudgetSpec(percent=20, least=least)
            port = await self.balance(
                specs, listener={"timeouts": TimeoutsSpec(connect=0.2)}, outliers=NO_EJECTION, retry_budget=budget
            )
            asked = await gatherResults([Deferred.fromCoroutine(self.ask(port)) for _ in range(60)])
            self.assertEqual([None] * 60, asked)
            await self.settled()
            dials[least] = sum(backend.total for backend in self.pool.backends.values())
            await self.balancer.stop()
        print(f"\ndials for 60 clients in an outage ({self.engine}): {dials[3]} with a budget, {dials[1000]} without")
        self.assertLessEqual(dials[3], 60 * 1.5)
        self.assertEqual(240, dials[1000])


class ReactorLimitsTests(LimitsTests):
    """With the reactor engine."""

    engine = "reactor"
