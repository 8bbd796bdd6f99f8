"""From one configuration to the next."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.service.fakes import FakeTransport, PickyFakeEngine, make_balancer
from txlb.events import Reloaded
from txlb.proxy.sides import ClientSide
from txlb.service.balancer import Balancer
from txlb.service.ports import PortUnavailable
from txlb.specs import BackendSpec, Config, HealthSpec, ListenerSpec, PoolSpec, QueueSpec, StrategySpec

BACKENDS = st.builds(
    BackendSpec,
    name=st.sampled_from("abcd"),
    connect=st.sampled_from(["tcp:192.0.2.1:1", "tcp:192.0.2.2:1", "tls:example.com:1"]),
    weight=st.integers(0, 3),
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Small configurations that have much in common."""
    pools = {}
    for name in draw(st.lists(st.sampled_from("pqr"), min_size=1, unique=True)):
        backends = draw(st.lists(BACKENDS, min_size=1, max_size=4, unique_by=lambda spec: spec.name))
        strategy = draw(st.sampled_from(["round-robin", "least-connections", "maglev"]))
        health = draw(st.sampled_from([None, HealthSpec()]))
        pools[name] = PoolSpec(name, tuple(backends), (StrategySpec(strategy),), health=health)
    listeners = {}
    for name in draw(st.lists(st.sampled_from("xyz"), unique=True)):
        port = draw(st.sampled_from([80, 81, 82]))
        if all(spec.listen != (f"tcp:{port}",) for spec in listeners.values()):
            listeners[name] = ListenerSpec(name, (f"tcp:{port}",), draw(st.sampled_from(sorted(pools))))
    return Config(listeners=listeners, pools=pools, echo=draw(st.sampled_from([(), ("tcp:9001",)])))


def shape(balancer: Balancer) -> dict[str, Any]:
    """All that an operator could tell two balancers apart by, but for what they have done so far."""
    return {
        "state": balancer.snapshot(),
        "ports": sorted(balancer.ports.bound),
        "engines": {name: sorted(listener.engine.connects) for name, listener in balancer.listeners.items()},
        "accepting": {
            name: [acceptor.accepting for acceptor in listener.acceptors]
            for name, listener in balancer.listeners.items()
        },
    }


class FailsOnce:
    """A method that raises the second time that it is called."""

    def __init__(self, method: Any) -> None:
        self.method = method
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == 2:
            raise OSError("no buffer space available")
        return self.method(*args)


class Reload(SynchronousTestCase):
    """`Balancer.reload`"""

    @settings(max_examples=30)
    @given(st.lists(configs(), min_size=1, max_size=5))
    def test_only_the_last_counts(self, path: list[Config]) -> None:
        """However it got there, a balancer is as if it had been started with its last configuration."""
        balancer, _, clock = make_balancer(self)
        for config in path:
            self.successResultOf(balancer.reload(config))
            clock.advance(0)
        fresh, _, fresh_clock = make_balancer(self)
        self.successResultOf(fresh.start(path[-1]))
        fresh_clock.advance(0)
        self.assertEqual(shape(balancer), shape(fresh))
        self.successResultOf(balancer.stop())
        self.successResultOf(fresh.stop())
        self.assertEqual(clock.getDelayedCalls(), [])

    @settings(max_examples=30)
    @given(configs())
    def test_again_is_nothing(self, config: Config) -> None:
        """The same configuration a second time binds nothing and disturbs no acceptor, pool or listener."""
        balancer, ports, _ = make_balancer(self)
        self.successResultOf(balancer.start(config))
        before = (
            list(ports.binds),
            {name: bound.acceptor for name, bound in ports.bound.items()},
            dict(balancer.pools),
            dict(balancer.listeners),
        )
        self.successResultOf(balancer.reload(config))
        after = (
            list(ports.binds),
            {name: bound.acceptor for name, bound in ports.bound.items()},
            dict(balancer.pools),
            dict(balancer.listeners),
        )
        self.assertEqual(before, after)
        self.successResultOf(balancer.stop())

    @settings(max_examples=30)
    @given(configs(), configs())
    def test_a_taken_port_changes_nothing(self, first: Config, second: Config) -> None:
        """Where a port cannot be bound, all stays as it was, and those that were bound meanwhile are closed."""
        balancer, ports, clock = make_balancer(self)
        self.successResultOf(balancer.start(first))
        clock.advance(0)
        before = shape(balancer)
        told: list[Reloaded] = []
        balancer.bus.subscribe(Reloaded, told.append)
        ports.taken = {description for spec in second.listeners.values() for description in spec.listen}
        if ports.taken <= ports.bound.keys():
            self.successResultOf(balancer.stop())
            return
        self.failureResultOf(balancer.reload(second), PortUnavailable)
        clock.advance(0)
        self.assertEqual(shape(balancer), before)
        self.assertEqual([event.ok for event in told], [False])
        self.successResultOf(balancer.stop())

    def test_an_address_in_its_own_way(self) -> None:
        """Where a port of its own may be what is in the way, the error says what to do; other ports are none of it."""
        balancer, ports, _ = make_balancer(self)
        self.successResultOf(balancer.start(Config(echo=("tcp:80",))))
        hints = {
            "tcp:80:interface=127.0.0.1": " (there is tcp:80: take that out with one reload, and put this in with the next)"
        }
        for listen in (*hints, "tcp:81"):
            ports.taken = {listen}
            error = self.failureResultOf(balancer.reload(Config(echo=(listen,))), PortUnavailable).value
            self.assertEqual(str(error), f"cannot listen on {listen}: Address already in use{hints.get(listen, '')}")
        self.successResultOf(balancer.stop())

    def test_an_engine_that_fails(self) -> None:
        """What raises midway, where nothing should, is undone: all is served as before, what was new is gone, and the next
        reload is as good as any."""
        p = PoolSpec("p", (BackendSpec("a", "tcp:192.0.2.1:1"),), health=HealthSpec())
        q = PoolSpec("q", (BackendSpec("b", "tcp:192.0.2.2:1"),), health=HealthSpec())
        x, y = ListenerSpec("x", ("tcp:80",), "p"), ListenerSpec("y", ("tcp:81",), "p")
        there = Config(listeners={"x": x, "y": y}, pools={"p": p}, echo=("tcp:9001",))
        x, z = ListenerSpec("x", ("tcp:81",), "q"), ListenerSpec("z", ("tcp:82",), "q")
        then = Config(listeners={"x": x, "z": z}, pools={"q": q})
        for method in ("prepare", "serve"):
            balancer, ports, clock = make_balancer(self)
            self.successResultOf(balancer.start(there))
            clock.advance(0)
            before, calls = shape(balancer), len(clock.getDelayedCalls())
            fails = FailsOnce(getattr(PickyFakeEngine, method))
            self.patch(PickyFakeEngine, method, lambda *args, fails=fails: fails(*args))
            self.failureResultOf(balancer.reload(then), OSError)
            clock.advance(0)
            self.assertEqual(shape(balancer), before)
            self.assertEqual(len(clock.getDelayedCalls()), calls)
            self.successResultOf(balancer.reload(then))
            clock.advance(0)
            self.assertEqual(sorted(ports.bound), ["tcp:81", "tcp:82"])
            self.assertTrue(all(bound.acceptor.accepting for bound in ports.bound.values()))
            self.successResultOf(balancer.stop())
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_overrides_last(self) -> None:
        """What an operator said survives a reload that does not contradict it."""
        balancer, _, _ = make_balancer(self)
        pool = PoolSpec("p", (BackendSpec("a", "tcp:192.0.2.1:1"), BackendSpec("b", "tcp:192.0.2.2:1")))
        config = Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "p")}, pools={"p": pool})
        self.successResultOf(balancer.start(config))
        balancer.pools["p"].set_admin("a", "drain", "test")
        self.successResultOf(balancer.reload(Config(listeners={}, pools={"p": pool})))
        self.assertEqual(balancer.snapshot()["pools"]["p"]["backends"]["a"]["admin"], "drain")
        self.successResultOf(balancer.stop())

    def test_an_added_backend_changes_the_engine(self) -> None:
        """`engine: auto` follows what the pool dials, also where an operator adds to it."""
        balancer, ports, _ = make_balancer(self)
        pool = PoolSpec("p", (BackendSpec("a", "tcp:192.0.2.1:1"),))
        config = Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "p")}, pools={"p": pool})
        self.successResultOf(balancer.start(config))
        self.assertEqual(balancer.listeners["x"].engine.name, "picky")
        balancer.pools["p"].add(BackendSpec("t", "tls:example.com:1"), "test")
        self.assertEqual(balancer.listeners["x"].engine.name, "plain")
        self.assertEqual(ports.binds, ["tcp:80"])
        self.successResultOf(balancer.stop())

    def connect(self, balancer: Balancer, listener: str) -> ClientSide:
        """A client of this listener."""
        client = balancer.listeners[listener].factory.buildProtocol(IPv4Address("TCP", "192.0.2.99", 5000))
        client.makeConnection(FakeTransport())
        return client

    def test_who_waits_is_served_from_the_old_pool(self) -> None:
        """A client in the queue of a pool that its listener leaves is served from it, on the engine it began with, also
        by backends that came later."""
        for later in ((), (BackendSpec("b", "tcp:192.0.2.2:1"),)):
            balancer, _, clock = make_balancer(self)
            full = BackendSpec("a", "tcp:192.0.2.1:1", max_connections=1)
            p = PoolSpec("p", (full,), queue=QueueSpec(5, 60.0))
            q = PoolSpec("q", (BackendSpec("t", "tls:example.com:1"),))
            self.successResultOf(
                balancer.start(Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "p")}, pools={"p": p, "q": q}))
            )
            first = self.connect(balancer, "x")
            self.connect(balancer, "x")
            engine = balancer.listeners["x"].engine
            moved = {"x": ListenerSpec("x", ("tcp:80",), "q")}
            self.successResultOf(balancer.reload(Config(listeners=moved, pools={"p": p, "q": q})))
            self.assertIsNot(balancer.listeners["x"].engine, engine)
            p = attrs.evolve(p, backends=(full, *later))
            self.successResultOf(balancer.reload(Config(listeners=moved, pools={"p": p, "q": q})))
            if not later:
                first.connectionLost(Failure(ConnectionLost()))
            clock.pump([0] * 4)
            self.assertEqual(engine.dialled[1:], ["tcp:192.0.2.2:1" if later else "tcp:192.0.2.1:1"])
            self.assertEqual(balancer.pools["p"].queued, 0)

    def test_a_name_that_leaves_twice(self) -> None:
        """A listener of the same name comes and goes while connections of the first one are open: they keep their engine."""
        balancer, _, _ = make_balancer(self)
        pools = {"p": PoolSpec("p", (BackendSpec("a", "tcp:192.0.2.1:1"),))}
        there = Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "p")}, pools=pools)
        self.successResultOf(balancer.start(there))
        client = self.connect(balancer, "x")
        engine = balancer.listeners["x"].engine
        for config in (Config(pools=pools), there, Config(pools=pools)):
            self.successResultOf(balancer.reload(config))
        self.assertFalse(engine.stopped)
        client.connectionLost(Failure(ConnectionLost()))
        self.assertTrue(engine.stopped)
