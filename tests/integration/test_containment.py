"""Strategies and health checks of third parties that misbehave: each costs at most the connection or the probe that met
it, is named, and stops nothing. On real sockets, with both engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from attrs import define, evolve
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from zope.interface import implementer

from tests.integration.bed import Bed, until
from txlb import registry
from txlb.events import BackendDown, BackendUp, ConnectionClosed, PluginFailed
from txlb.interfaces import IExplains, IHealthCheck, IObservesLoad, IObservesOutcome, IObservesTime, IStrategy
from txlb.plugin import HealthCheckMaker, StrategyMaker
from txlb.specs import HealthSpec, OutlierSpec, PoolSpec, QueueSpec, StrategySpec


class Unspeakable(Exception):
    """An exception that cannot even be shown."""

    def __str__(self) -> str:
        raise ValueError("not even that")


class Opaque:
    """A value that cannot be shown, compared or hashed."""

    def __repr__(self) -> str:
        raise ValueError("no words for it")

    def __eq__(self, other: object) -> bool:
        raise ValueError("like nothing else")

    __hash__ = None  # type: ignore[assignment]


TROUBLES = {
    "an-error": RuntimeError("on purpose"),
    "an-unspeakable-error": Unspeakable(),
    "no-memory": MemoryError(),
    "an-exit": SystemExit(3),
    "a-cancellation": CancelledError(),
    "a-stop": StopIteration(),
}
NONSENSE = {"a-word": "nonsense", "a-list": [1], "a-number": 0, "opaque": Opaque(), "a-deferred": Deferred()}


@implementer(IStrategy, IObservesLoad, IObservesTime, IObservesOutcome, IExplains)
@define
class Raises:
    """Raises in every method."""

    trouble: str

    def rebuild(self, backends: Any) -> None:
        raise TROUBLES[self.trouble]

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        raise TROUBLES[self.trouble]

    def changed(self, backend: Any) -> None:
        raise TROUBLES[self.trouble]

    def measured(self, backend: Any, what: str, seconds: float) -> None:
        raise TROUBLES[self.trouble]

    def released(self, backend: Any, outcome: str) -> None:
        raise TROUBLES[self.trouble]

    def scores(self, client: Any) -> Any:
        raise TROUBLES[self.trouble]


@implementer(IStrategy, IExplains)
@define
class Babbles:
    """Answers with what is no answer."""

    word: str

    def rebuild(self, backends: Any) -> Any:
        return NONSENSE[self.word]

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        return NONSENSE[self.word]

    def scores(self, client: Any) -> Any:
        return NONSENSE[self.word]


@implementer(IStrategy)
class Endless:
    """Never has its table ready, and picks the first all the same."""

    def rebuild(self, backends: Any) -> Iterator[None]:
        self.backends = backends
        while True:
            yield None

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        return next((backend for backend in self.backends if backend not in exclude), None)


@implementer(IStrategy)
class Slow(Endless):
    """Takes 50 ms for a pick."""

    def rebuild(self, backends: Any) -> None:  # type: ignore[override]
        self.backends = backends

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        until = time.monotonic() + 0.05
        while time.monotonic() < until:
            pass
        return super().pick(client, exclude)


@implementer(IStrategy)
class Hoards(Slow):
    """Allocates a lot for every pick and then fails."""

    def pick(self, client: Any, exclude: Any = ()) -> Any:
        hoard = bytearray(50_000_000)
        raise MemoryError(len(hoard))


@implementer(IStrategy)
class Stillborn:
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("not today")


@implementer(IStrategy)
class Empty:
    """Has none of the methods that it promises."""


NOTED: list[str] = []
"""Whom the check below was asked about."""


@implementer(IHealthCheck)
@define
class Check:
    """Behaves as `how` says."""

    how: str

    def probe(self, connect: str) -> Any:
        NOTED.append(connect)
        return getattr(self, f"_{self.how.replace('-', '_')}")()

    def _raises(self) -> Any:
        raise RuntimeError("on purpose")

    def _is_unspeakable(self) -> Any:
        raise Unspeakable

    def _exits(self) -> Any:
        raise SystemExit(3)

    def _answers_none(self) -> Any:
        return None

    def _answers_a_word(self) -> Any:
        return "fine"

    def _fires_nonsense(self) -> Any:
        return succeed(Opaque())

    def _fires_none(self) -> Any:
        return succeed(None)

    def _fails_oddly(self) -> Any:
        return fail(KeyError("odd"))

    def _fails_unspeakably(self) -> Any:
        return fail(Unspeakable())

    async def _exits_later(self) -> Any:
        raise SystemExit(3)

    def _never_answers(self) -> Any:
        return Deferred()

    def _cannot_be_cancelled(self) -> Any:
        return Deferred(lambda deferred: 1 / 0)

    def _ignores_its_cancellation(self) -> Any:
        return Deferred().addErrback(lambda failure: Deferred())

    def _is_slow(self) -> Any:
        time.sleep(0.05)
        return succeed("after a while")


@implementer(IHealthCheck)
class StillbornCheck:
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("not today")


def makers(kind: Any, **classes: str) -> list[Any]:
    """Plugin lines for classes of this module, or of modules that there are none of."""
    return [
        kind(name, factory if ":" in factory else f"{__name__}:{factory}", "bad") for name, factory in classes.items()
    ]


STRATEGIES = makers(
    StrategyMaker,
    raises="Raises",
    babbles="Babbles",
    endless="Endless",
    slow="Slow",
    hoards="Hoards",
    stillborn="Stillborn",
    empty="Empty",
    absent="no.such.module:Class",
)
CHECKS = makers(HealthCheckMaker, bad="Check", stillborn="StillbornCheck", absent="no.such.module:Class")
BROKEN = (
    "raises",
    "is-unspeakable",
    "exits",
    "answers-none",
    "answers-a-word",
    "fires-nonsense",
    "fires-none",
    "fails-oddly",
    "fails-unspeakably",
    "exits-later",
)
SILENT = ("never-answers", "cannot-be-cancelled", "ignores-its-cancellation")


class ContainmentTests(Bed):
    """With the epoll engine."""

    def setUp(self) -> None:
        """Registries with bad plugins beside the good ones."""
        super().setUp()
        good = registry.strategies()
        self.plugins = {
            "strategies": registry.strategies([*good.makers, *STRATEGIES]),
            "health_checks": registry.health_checks([*registry.health_checks().makers, *CHECKS]),
        }

    async def bad(self, *strategy: StrategySpec, **options: Any) -> int:
        """A balancer with these strategies, in front of two servers."""
        servers = [await self.server(greets=True) for _ in range(2)]
        return await self.balance(servers, strategy=strategy, balancer=self.plugins, **options)

    def flushed(self) -> str:
        """What was logged as errors, shown as well as can be; none of it fails the test."""
        return " ".join(failure.type.__name__ for failure in self.flushLoggedErrors())

    async def recovers(self, port: int) -> None:
        """A reload with a good strategy has everything well again, and nothing is held."""
        await self.balancer.reload(self.changed({"strategy": (StrategySpec("round-robin"),)}))
        self.assertEqual({"s0", "s1"}, {await self.name(port) for _ in range(4)})
        await self.settled()
        self.assertEqual([0, 0], [backend.active for backend in self.pool.backends.values()])

    async def test_raises(self) -> None:
        """A strategy that raises whatever it is told, and whatever it raises: its clients are reset, it is named, and a
        client that has its server already sees nothing of it."""
        for trouble in TROUBLES:
            with self.subTest(trouble=trouble):
                self.happened.clear()
                port = await self.bad(StrategySpec("round-robin"))
                stay = await self.stays(port)
                strategy = (StrategySpec("raises", {"trouble": trouble}),)
                await self.balancer.reload(self.changed({"strategy": strategy}))
                for _ in range(3):
                    self.assertEqual("", await self.name(port))
                await until(lambda: self.events(PluginFailed), "word of it")
                self.assertEqual({"raises"}, {event.name for event in self.events(PluginFailed)})
                self.assertIn("raised", self.events(PluginFailed)[0].reason)
                self.pool.explain(stay)
                self.assertIsNone(stay.lost)
                stay.transport.loseConnection()
                await self.recovers(port)
                self.assertTrue(self.flushed())
                await self.tearDown()

    async def test_fallback(self) -> None:
        """In a chain the next strategy serves, and the client sees nothing of it."""
        raising = [StrategySpec("raises", {"trouble": trouble}) for trouble in TROUBLES]
        babbling = [StrategySpec("babbles", {"word": word}) for word in NONSENSE]
        port = await self.bad(*raising, *babbling, StrategySpec("round-robin"))
        self.assertEqual({"s0", "s1"}, {await self.name(port) for _ in range(4)})
        await self.settled()
        self.assertEqual({"ok": 4}, self.outcomes())
        await self.recovers(port)
        self.assertTrue(self.flushed())

    async def test_babbles(self) -> None:
        """Nonsense for an answer is like none, and is said."""
        for word in NONSENSE:
            with self.subTest(word=word):
                self.happened.clear()
                port = await self.bad(StrategySpec("babbles", {"word": word}))
                self.assertEqual(["", ""], [await self.name(port) for _ in range(2)])
                self.assertEqual({"babbles"}, {event.name for event in self.events(PluginFailed)})
                await self.recovers(port)
                self.flushed()
                await self.tearDown()

    async def test_queued(self) -> None:
        """Who waits in the queue for a strategy that raises is sent away at the queue's timeout."""
        port = await self.bad(StrategySpec("raises", {"trouble": "an-error"}), queue=QueueSpec(10, 0.2))
        self.assertEqual("", await self.name(port))
        await self.settled()
        self.assertEqual({"rejected": 1}, self.outcomes())
        self.flushed()

    async def test_endless_rebuild(self) -> None:
        """A table that is never ready: the old one serves, and the data path has its turns."""
        port = await self.bad(StrategySpec("round-robin"))
        await self.balancer.reload(self.changed({"strategy": (StrategySpec("endless"),)}))
        names, began = [await self.name(port) for _ in range(10)], time.monotonic()
        self.assertEqual(5, names.count("s0"))
        self.assertLess(time.monotonic() - began, 5)
        await self.recovers(port)

    async def test_slow(self) -> None:
        """A pick of 50 ms costs every new client that long, and nobody is refused."""
        port = await self.bad(StrategySpec("slow"))
        self.assertEqual(["s0"] * 5, [await self.name(port) for _ in range(5)])
        await self.recovers(port)

    async def test_hoards(self) -> None:
        """A pick that takes 50 MB and fails gives them back."""
        port = await self.bad(StrategySpec("hoards"), StrategySpec("round-robin"))
        self.assertNotIn("", [await self.name(port) for _ in range(20)])
        self.flushed()

    async def test_cannot_be_made(self) -> None:
        """A reload with a strategy that cannot be imported, made or asked fails and changes nothing, in no pool."""
        port = await self.bad(StrategySpec("round-robin"))
        good = self.config
        for name in ("stillborn", "empty", "absent", "no-such-strategy"):
            with self.subTest(name=name):
                await self.balancer.reload(good)
                pools = {
                    "another": PoolSpec("another", good.pools["servers"].backends[:1]),
                    "servers": self.changed({"strategy": (StrategySpec(name),), "retries": 7}).pools["servers"],
                    "zero": PoolSpec("zero", good.pools["servers"].backends[:1]),
                }

                with self.assertRaises(Exception):  # noqa: B017 it is the plugin's own
                    await self.balancer.reload(evolve(good, pools=pools))
                self.assertEqual((["servers"], good), (list(self.balancer.pools), self.balancer.config))
                self.assertEqual(3, self.pool.spec.retries)
                self.assertEqual({"s0", "s1"}, {await self.name(port) for _ in range(4)})

    async def test_bad_checks(self) -> None:
        """A check that is broken, however, says nothing about the backends, is named, and is asked again."""
        for how in BROKEN:
            with self.subTest(how=how):
                self.happened.clear()
                NOTED.clear()
                health = HealthSpec("bad", {"how": how}, interval=0.03, timeout=0.5, rise=1, fall=1)
                port = await self.bad(StrategySpec("round-robin"), health=health)
                await until(lambda: len(NOTED) > 8, "more probes")
                self.assertEqual({"s0", "s1"}, {await self.name(port) for _ in range(4)})
                self.assertFalse(self.events(BackendDown) + self.events(BackendUp))
                self.assertEqual({("health check", "bad")}, {(e.kind, e.name) for e in self.events(PluginFailed)})
                await self.tearDown()
                self.flushed()

    async def test_silent_checks(self) -> None:
        """A check that never answers, or cannot be cancelled, is a timeout: a verdict like another; the next probe comes,
        and never two at once for one backend."""
        for how in SILENT:
            with self.subTest(how=how):
                self.happened.clear()
                NOTED.clear()
                health = HealthSpec("bad", {"how": how}, interval=0.05, timeout=0.03, rise=1, fall=2)
                port = await self.bad(StrategySpec("round-robin"), health=health)
                await until(lambda: len(self.events(BackendDown)) == 2, "both to be down")
                await until(lambda: len(NOTED) > 8, "more probes")
                self.assertIn("timed out after 30ms", self.events(BackendDown)[0].reason)
                self.assertNotEqual("", await self.name(port), "in panic all are used")
                await self.tearDown()
                self.flushed()

    async def test_slow_checks(self) -> None:
        """A check that blocks for 50 ms costs that long, and traffic goes on in between."""
        health = HealthSpec("bad", {"how": "is-slow"}, interval=0.2, timeout=0.5, rise=1, fall=1)
        port = await self.bad(StrategySpec("round-robin"), health=health)
        await until(lambda: len(self.events(BackendUp)) == 2, "both to be up")
        self.assertNotIn("", [await self.name(port) for _ in range(20)])

    async def test_checks_that_cannot_be_made(self) -> None:
        """Nobody is probed then, which is said; traffic goes on, and a reload with a good check probes."""
        for name in ("stillborn", "absent"):
            with self.subTest(name=name):
                self.happened.clear()
                port = await self.bad(StrategySpec("round-robin"), health=HealthSpec(name, interval=0.05))
                self.assertEqual({"s0", "s1"}, {await self.name(port) for _ in range(4)})
                await self.balancer.reload(self.changed({"health": HealthSpec(interval=0.05, rise=1)}))
                await until(lambda: len(self.events(BackendUp)) == 2, "both to be up")
                await self.tearDown()
                self.flushed()

    async def test_a_subscriber_that_raises(self) -> None:
        """Whoever listens to events and raises disturbs neither the others nor a connection."""
        port = await self.bad(StrategySpec("round-robin"), outliers=OutlierSpec(failures=1))

        self.balancer.bus.subscribe(ConnectionClosed, lambda event: 1 / 0)
        self.assertNotIn("", [await self.name(port) for _ in range(5)])
        await self.settled()
        self.assertEqual(5, len(self.flushLoggedErrors(ZeroDivisionError)))


class ReactorContainmentTests(ContainmentTests):
    """With the reactor engine."""

    engine = "reactor"
