"""Configurations, backends and the process itself change while clients come and go: no client notices, nothing leaks.
On real sockets, with both engines."""

from __future__ import annotations

import gc
import socket
import time
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.integration import wire
from tests.integration.bed import Bed, until
from tests.integration.wire import Backend, close_own
from txlb.events import BackendDown, BackendUp, Reloaded
from txlb.model.backend import Backend as PoolBackend
from txlb.model.pool import Pool
from txlb.proxy.listener import Listener
from txlb.proxy.pair import ProxyPair
from txlb.service.ports import PortUnavailable
from txlb.specs import HealthSpec, OutlierSpec, QueueSpec, StrategySpec, TimeoutsSpec

STRATEGIES = ("round-robin", "least-connections", "power-of-two", "maglev", "least-time")


class Traffic:
    """Clients that come, exchange something and go, so many at a time, until stopped."""

    def __init__(self, bed: Bed, port: int, clients: int = 8) -> None:
        self.bed, self.port = bed, port
        self.stopping = False
        self.served = 0
        self.failed: list[str] = []
        self._loops = [Deferred.fromCoroutine(self._run(number)) for number in range(clients)]

    async def _run(self, number: int) -> None:
        while not self.stopping:
            data = b"%d:%d" % (number, self.served)
            if await self.bed.ask(self.port, data) == data:
                self.served += 1
            else:
                self.failed.append(f"{data!r} by {self.bed.clients[-1].lost}")
            self.bed.clients[:] = [client for client in self.bed.clients if not client.lost]

    async def more(self, count: int = 8) -> None:
        """Wait until so many more were served."""
        wanted = self.served + count
        await until(lambda: self.served >= wanted or self.failed, f"{count} more exchanges")

    async def stop(self) -> None:
        """Let the clients finish what they are at."""
        self.stopping = True
        await gatherResults(self._loops)


class ChangeTests(Bed):
    """With the epoll engine."""

    def held(self) -> dict[str, int]:
        """What there is of each thing that could leak."""
        gc.collect()
        found = gc.get_objects()
        kinds = (ProxyPair, Pool, Listener, PoolBackend)
        counts = {kind.__name__: sum(isinstance(one, kind) for one in found) for kind in kinds}
        counts["delayed calls"] = len(reactor.getDelayedCalls())
        counts["descriptors"] = wire.descriptors()
        counts["readers"] = len(reactor.getReaders())
        return counts

    async def returns_to(self, before: dict[str, int]) -> None:
        """Wait until no more is held than before; the deadline's message has the difference."""
        await self.settled()
        deadline = reactor.seconds() + 5
        while any((now := self.held())[what] > before[what] for what in before):
            if reactor.seconds() > deadline:
                raise AssertionError(f"{now}, and before {before}")
            await deferLater(reactor, 0.1)

    async def test_a_hundred_reloads(self) -> None:
        """Strategy, weights, limits, the queue, checks and the set of backends change a hundred times under traffic: no
        client fails, and at the end nothing is left over."""
        servers = [await self.server() for _ in range(4)]
        port = await self.balance(servers)
        await self.ask(port)
        await deferLater(reactor, 2.1)  # the epoll engine looks once more at young connections
        before, began = self.held(), time.monotonic()
        original, traffic = self.config, Traffic(self, port)
        for count in range(100):
            backends = tuple(server.spec(weight=1 + (count + n) % 3) for n, server in enumerate(servers))
            pool = {
                "strategy": (StrategySpec(STRATEGIES[count % len(STRATEGIES)]),),
                "backends": backends[: 1 + count % 4],
                "queue": QueueSpec(100 * (count % 2)),
                "health": HealthSpec(interval=0.2) if count % 3 else None,
                "outliers": OutlierSpec(failures=count % 7),
            }
            await self.balancer.reload(
                self.changed(pool, max_connections=100 + count, timeouts=TimeoutsSpec(idle=60 + count))
            )
            await traffic.more()
        await self.balancer.reload(original)
        took = time.monotonic() - began
        await traffic.stop()
        print(f"\n100 reloads ({self.engine}): {took:.1f} s, {traffic.served} exchanges, {len(traffic.failed)} failed")
        self.assertEqual([], traffic.failed)
        self.assertEqual({"ok"}, set(self.outcomes()))
        self.assertLess(took, 60)
        await self.returns_to(before)

    async def test_reload_switches_engines(self) -> None:
        """The engine of a listener changes thirty times under traffic; connections of the old one run to their end."""
        servers = [await self.server() for _ in range(2)]
        port = await self.balance(servers)
        traffic, stay = Traffic(self, port), await self.dial(port)
        for count in range(30):
            await self.balancer.reload(self.changed(engine=("reactor", "epoll")[count % 2]))
            await traffic.more()
        await traffic.stop()
        self.assertEqual([], traffic.failed)
        stay.transport.write(b"still here")
        await stay.read(10)

    async def test_drain_a_backend(self) -> None:
        """A backend in drain gets nothing more, its connections run to their end, no client fails; ready again, it gets
        its share. The same for one that is removed."""
        servers = [await self.server() for _ in range(3)]
        port = await self.balance(servers)
        stay = [await self.dial(port) for _ in range(3)]
        await until(lambda: servers[0].open, "a connection on the first")
        traffic = Traffic(self, port)
        await traffic.more(50)
        self.pool.set_admin("s0", "drain", "the test")
        drained = self.pool.backends["s0"]
        given = drained.total
        await traffic.more(100)
        self.assertEqual((given, 1), (drained.total, drained.active))
        for client in stay:
            client.transport.write(b"still here")
            await client.read(10)
        self.pool.set_admin("s0", "ready", "the test")
        await until(lambda: drained.total > given + 10 or traffic.failed, "its share")
        self.pool.remove("s0", "the test")
        given = drained.total
        await traffic.more(50)
        await traffic.stop()
        self.assertEqual(([], given, 1), (traffic.failed, drained.total, drained.active))
        stay[0].transport.write(b"!")
        await stay[0].read(11)

    async def test_drain_the_process(self) -> None:
        """Draining accepts all who have come so far, also those of whom nobody has heard yet, serves everybody to the
        end, and leaves nothing."""
        servers = [await self.server() for _ in range(2)]
        port = await self.balance(servers)
        early = [await self.dial(port) for _ in range(20)]
        late = [wire.keep(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]  # the reactor has no turn
        self.addCleanup(close_own)
        drained = self.balancer.drain()
        await until(lambda: not self.balancer.ports.bound, "the ports to be closed")
        for client in early:
            client.transport.write(b"hello")
            await client.read(5)
            client.transport.loseConnection()
        for sock in late:
            sock.sendall(b"hello")
            sock.setblocking(False)
            await until(lambda sock=sock: received(sock) == b"hello", "an answer to one who came late")
            sock.close()
        await drained
        self.assertEqual({"ok": 40}, self.outcomes())

    async def test_a_listener_leaves(self) -> None:
        """A reload takes a listener away: who has come is served, its connections run to their end."""
        server = await self.server()
        port = await self.balance([server])
        stay = await self.dial(port)
        late = wire.keep(socket.create_connection(("127.0.0.1", port)))
        self.addCleanup(close_own)
        await self.balancer.reload(evolve(self.config, listeners={}))
        late.sendall(b"hello")
        late.setblocking(False)
        await until(lambda: received(late) == b"hello", "an answer to one who came late")
        stay.transport.write(b"hello")
        await stay.read(5)
        self.assertEqual(2, self.balancer.open)

    async def test_reload_during_a_health_change(self) -> None:
        """Backends come and go by their checks while reloads change the checks: verdicts survive what does not concern
        them, and traffic goes on."""
        servers = [await self.server() for _ in range(3)]
        probed = await self.server()  # in place of the first, whose own backlog would be reset
        first = servers[0].spec(check_connect=f"tcp:127.0.0.1:{probed.number}")
        health = HealthSpec(interval=0.05, timeout=0.5, rise=1, fall=1)
        port = await self.balance([first, *servers[1:]], health=health, panic_threshold=0)
        await until(lambda: len(self.events(BackendUp)) == 3, "all to be up")
        traffic = Traffic(self, port)
        for count in range(10):
            await probed.close()
            await self.balancer.reload(self.changed({"slow_start": 0.1 * (count % 2), "retries": 3 + count}))
            await until(lambda count=count: len(self.events(BackendDown)) == count + 1, "it to be down")
            await self.balancer.reload(self.changed({"retries": 2 + count}))
            self.assertEqual("down", self.pool.backends["s0"].health)
            await probed.listen()
            await until(lambda count=count: len(self.events(BackendUp)) == count + 4, "it to be up")
            await traffic.more()
        await traffic.stop()
        self.assertEqual([], traffic.failed)

    async def test_reload_during_a_dial(self) -> None:
        """While a dial hangs its backend is taken away, its listener changes engine, its pool its strategy: the client is
        served by another backend, and the old one is forgotten."""
        hanging, good = Backend(backlog=0), await self.server()
        self.addCleanup(close_own)
        hanging.clog()
        spec = good.spec()
        gone = evolve(spec, name="gone", connect=hanging.place.client_string)
        port = await self.balance([gone], listener={"timeouts": TimeoutsSpec(connect=0.5)})
        client = await self.dial(port)
        client.transport.write(b"hello")
        await until(lambda: self.pool.backends["gone"].active == 1, "the dial")
        change = {"backends": (spec,), "strategy": (StrategySpec("maglev"),)}
        await self.balancer.reload(self.changed(change, engine="reactor" if self.engine == "epoll" else "epoll"))
        await client.read(5)
        self.assertEqual(["s0"], list(self.pool.backends))
        self.assertIsNone(self.pool._roster.find("gone"))

    async def test_reload_during_a_drain(self) -> None:
        """A reload that comes while the process drains opens nothing again, and the drain ends."""
        server = await self.server()
        port = await self.balance([server])
        client = await self.dial(port)
        await until(lambda: self.balancer.open, "the connection")
        drained = self.balancer.drain()
        await self.balancer.reload(self.changed({"retries": 1}))
        self.pool.set_weight("s0", 5, "the test")
        self.pool.add(evolve(server.spec(), name="more"), "the test")
        self.assertEqual({}, self.balancer.ports.bound)
        client.transport.write(b"hello")
        await client.read(5)
        client.transport.loseConnection()
        await drained

    async def test_reloads_at_once(self) -> None:
        """Reloads that come at once are taken one after the other; the last valid one wins, and one that needs a taken
        port fails alone."""
        servers = [await self.server(greets=True) for _ in range(3)]
        port = await self.balance(servers[:1])
        taken = evolve(self.config, echo=(f"tcp:{servers[0].number}:interface=127.0.0.1",))
        reloads = [
            self.balancer.reload(self.changed({"backends": (servers[1].spec(),)})),
            self.balancer.reload(taken),
            self.balancer.reload(self.changed({"backends": (servers[2].spec(),)})),
            self.balancer.reload(taken),
        ]
        outcomes: list[Any] = []
        for reload in reloads:
            reload.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.check(PortUnavailable)))
        await until(lambda: len(outcomes) == 4, "all reloads")
        self.assertEqual([None, PortUnavailable, None, PortUnavailable], outcomes)
        self.assertEqual([True, False, True, False], [event.ok for event in self.events(Reloaded)])
        self.assertEqual({"s2"}, {await self.name(port) for _ in range(4)})


def received(sock: socket.socket) -> bytes:
    """What has come, without waiting for it."""
    try:
        return sock.recv(100)
    except BlockingIOError:
        return b""


class ReactorChangeTests(ChangeTests):
    """With the reactor engine."""

    engine = "reactor"
