"""Bad backends found by traffic and by checks, among good ones, on real sockets and with both engines."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from tests.integration.bed import Bed, until
from tests.integration.wire import Backend, close_own
from txlb.events import BackendDown, BackendEjected, BackendReturned, BackendUp, Panic
from txlb.specs import BackendSpec, HealthSpec, OutlierSpec, TimeoutsSpec

BRISK = OutlierSpec(failures=3, ejection=0.4, max_ejection=0.9)
CHECKED = HealthSpec(interval=0.05, timeout=1.0, rise=1, fall=1)


class EjectionTests(Bed):
    """With the epoll engine."""

    async def test_refusing(self) -> None:
        """A backend that refuses is left out after three failures; no client notices. Each time that it comes back and
        refuses again it is left out for longer, up to the cap."""
        servers = [await self.server(greets=True) for _ in range(4)]
        port = await self.balance(servers, outliers=BRISK)
        await servers[3].close()
        while len(self.events(BackendEjected)) < 3:
            self.assertIn(await self.name(port), {"s0", "s1", "s2"})
        self.assertEqual({"s3"}, {event.backend for event in self.events(BackendEjected)})
        self.assertEqual([0.4, 0.8, 0.9], [event.seconds for event in self.events(BackendEjected)])
        self.assertIn("3 failures in a row", self.events(BackendEjected)[0].reason)
        self.assertEqual("ejected: 3 failures in a row, the last one refused", self.pool.backends["s3"].reason)
        self.assertEqual(9, self.pool.backends["s3"].outcomes["refused"])
        self.assertEqual({"ok"}, set(self.outcomes()))
        await servers[3].listen()
        await until(lambda: len(self.events(BackendReturned)) == 3, "the last ejection to be over")
        self.assertEqual({"s0", "s1", "s2", "s3"}, {await self.name(port) for _ in range(8)})

    async def test_resetting(self) -> None:
        """A backend that accepts and resets costs three clients their connection, and then nobody."""
        servers = [await self.server(greets=True) for _ in range(3)]
        servers[1].resets = True
        port = await self.balance(servers, outliers=OutlierSpec(failures=3, ejection=30))
        names = [await self.name(port) for _ in range(60)]
        self.assertEqual(3, names.count(""))
        self.assertNotIn("", names[12:])
        self.assertEqual(3, servers[1].dials)

    async def test_hanging(self) -> None:
        """A backend that does not answer dials is left out after three timeouts."""
        hanging, good = Backend(backlog=0), await self.server(greets=True)
        self.addCleanup(close_own)
        hanging.clog()
        specs = [BackendSpec("hangs", hanging.place.client_string), good.spec()]
        port = await self.balance(
            specs, outliers=OutlierSpec(failures=3, ejection=30), listener={"timeouts": TimeoutsSpec(connect=0.2)}
        )
        names = await gatherResults([Deferred.fromCoroutine(self.name(port)) for _ in range(6)])
        self.assertEqual(["s0"] * 6, names)
        self.assertEqual(["hangs"], [event.backend for event in self.events(BackendEjected)])
        self.assertIn("connect-timeout", self.events(BackendEjected)[0].reason)

    async def test_never_more_than_half(self) -> None:
        """Of four backends three are bad: two are left out, and all clients are served by the good one."""
        servers = [await self.server(greets=True) for _ in range(4)]
        port = await self.balance(servers, outliers=OutlierSpec(failures=2, ejection=30))
        for server in servers[:3]:
            await server.close()
        self.assertEqual({"s3"}, {await self.name(port) for _ in range(30)})
        self.assertEqual(2, len(self.events(BackendEjected)))
        self.assertEqual(2, sum(backend.eligible for backend in self.pool.backends.values()))
        self.assertFalse(self.events(Panic))

    async def test_never_the_last(self) -> None:
        """A lone backend is never left out, however bad; nor the last one that could take connections."""
        bad, away = await self.server(greets=True, resets=True), await self.server(greets=True)
        port = await self.balance([bad, away], outliers=OutlierSpec(failures=1, ejection=30), panic_threshold=0)
        self.pool.set_admin("s1", "drain", "the test")
        self.assertEqual([""] * 5, [await self.name(port) for _ in range(5)])
        self.assertFalse(self.events(BackendEjected))
        bad.resets = False
        self.assertEqual("s0", await self.name(port))

    async def test_a_passing_check_ends_it(self) -> None:
        """An ejection of an hour is over as soon as a check passes."""
        servers = [await self.server(greets=True) for _ in range(2)]
        health = HealthSpec(interval=0.05, timeout=1.0, rise=1, fall=1_000_000)
        port = await self.balance(
            servers, outliers=OutlierSpec(failures=2, ejection=3600, max_ejection=3600), health=health
        )
        await until(lambda: len(self.events(BackendUp)) == 2, "both to be up")
        await servers[0].close()
        while not self.events(BackendEjected):
            self.assertEqual("s1", await self.name(port))
        await servers[0].listen()
        await until(lambda: self.events(BackendReturned), "the end of the ejection", 3)
        self.assertIn("passed its check", self.events(BackendReturned)[0].reason)
        self.assertEqual({"s0", "s1"}, {await self.name(port) for _ in range(4)})

    async def test_local_trouble_never_counts(self) -> None:
        """A dial that fails for want of a local address is nobody's fault: the client is served by another, and the
        backend stays, though one failure would have it ejected."""
        good, unlucky = await self.server(greets=True), await self.server(greets=True)
        spec = BackendSpec("unlucky", f"tcp:127.0.0.1:{unlucky.number}:bindAddress=192.0.2.1")
        port = await self.balance([good, spec], outliers=OutlierSpec(failures=1, ejection=30))
        self.assertEqual(["s0"] * 10, [await self.name(port) for _ in range(10)])
        self.assertFalse(self.events(BackendEjected))
        backend = self.pool.backends["unlucky"]
        self.assertEqual((0, True), (backend.failures, backend.eligible))
        self.assertGreater(backend.outcomes["local-error"], 3)

    async def test_panic(self) -> None:
        """When checks call three of four backends down, all four are used: the checks are more likely wrong. When
        enough are back, only those are."""
        servers = [await self.server(greets=True) for _ in range(4)]
        checked = [server.spec() for server in servers]
        doors = [await self.server() for _ in range(4)]  # what is probed, apart from what serves
        specs = [
            BackendSpec(spec.name, spec.connect, check_connect=f"tcp:127.0.0.1:{door.number}")
            for spec, door in zip(checked, doors, strict=True)
        ]
        port = await self.balance(specs, health=CHECKED, panic_threshold=50)
        await until(lambda: len(self.events(BackendUp)) == 4, "all to be up")
        for door in doors[:3]:
            await door.close()
        await until(lambda: len(self.events(BackendDown)) == 3, "three to be down")
        await until(lambda: self.pool.panic, "panic")
        self.assertEqual({"s0", "s1", "s2", "s3"}, {await self.name(port) for _ in range(8)})
        await doors[0].listen()
        await until(lambda: not self.pool.panic, "the end of panic")
        self.assertEqual({"s0", "s3"}, {await self.name(port) for _ in range(8)})
        self.assertEqual([True, False], [event.on for event in self.events(Panic)])

    async def test_slow_start(self) -> None:
        """A backend that recovers gets a small share at first, and its full share a second later."""
        servers = [await self.server(greets=True) for _ in range(2)]
        port = await self.balance(servers, health=CHECKED, slow_start=1.5, panic_threshold=0)
        await until(lambda: len(self.events(BackendUp)) == 2, "both to be up")
        self.assertEqual(100, self.pool.backends["s0"].effective_weight)
        await servers[0].close()
        await until(lambda: self.events(BackendDown), "one to be down")
        await servers[0].listen()
        await until(lambda: len(self.events(BackendUp)) == 3, "it to be up again")
        began, weight = reactor.seconds(), self.pool.backends["s0"].effective_weight
        names = [await self.name(port) for _ in range(20)]
        if reactor.seconds() - began < 0.5:  # else the machine is too busy to tell
            self.assertLess(names.count("s0"), 8)
        self.assertLess(weight, 40)
        await until(lambda: self.pool.backends["s0"].effective_weight == 100, "its full weight", 4)
        self.assertGreater(reactor.seconds() - began, 1.0)
        self.assertEqual(10, [await self.name(port) for _ in range(20)].count("s0"))

    async def test_close_when_down(self) -> None:
        """The connections of a backend that goes down end with a reset; those of others go on."""
        servers = [await self.server(greets=True) for _ in range(2)]
        port = await self.balance(servers, health=CHECKED, close_when_down=True)
        await until(lambda: len(self.events(BackendUp)) == 2, "both to be up")
        clients = [await self.stays(port) for _ in range(6)]
        await servers[0].close()
        doomed = [client for client in clients if client.received == b"s0"]
        others = [client for client in clients if client.received == b"s1"]
        self.assertEqual((3, 3), (len(doomed), len(others)))
        for client in doomed:
            await client.ended()
            self.assertTrue(client.was_reset)
        self.assertEqual(
            ["reset-by-backend"] * 3, [event.outcome for event in self.happened if hasattr(event, "outcome")]
        )
        self.assertTrue(all(client.lost is None for client in others))

    async def test_not_closed_when_down(self) -> None:
        """Without `close_when_down` they all go on."""
        servers = [await self.server() for _ in range(2)]
        port = await self.balance(servers, health=CHECKED)
        await until(lambda: len(self.events(BackendUp)) == 2, "both to be up")
        clients = [await self.dial(port) for _ in range(4)]
        await until(lambda: self.pool.open == 4 and servers[0].open, "all to be linked")
        await servers[0].close()
        await until(lambda: self.events(BackendDown), "one to be down")
        for client in clients:
            client.transport.write(b"still here")
            await client.read(10)


class ReactorEjectionTests(EjectionTests):
    """With the reactor engine."""

    engine = "reactor"
