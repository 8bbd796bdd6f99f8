"""What an engine still has to know once its listener has another one."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.service.fakes import connect, make_balancer
from txlb.specs import BackendSpec, Config, ListenerSpec, PoolSpec

PLAIN, TLS = "tcp:backend.example:1", "tls:backend.example:2"


def config(connect_to: str) -> Config:
    """One listener, and one backend there."""
    pool = PoolSpec("p", (BackendSpec("a", connect_to),))
    return Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "p")}, pools={"p": pool})


class EngineSwitch(SynchronousTestCase):
    """On fakes: the engine of choice cannot do TLS, the other one can."""

    def setUp(self) -> None:
        """It runs on the engine of choice."""
        self.balancer, _, _ = make_balancer(self)
        self.successResultOf(self.balancer.start(config(PLAIN)))
        self.old = self.balancer.listeners["x"].engine

    def test_forgets(self) -> None:
        """Nobody is on the way to a backend: the old engine has nothing to resolve any more, though it lives on; back in
        use it knows all again, and the other one nothing."""
        self.successResultOf(self.balancer.reload(config(TLS)))
        new = self.balancer.listeners["x"].engine
        self.assertEqual((self.old.connects, new.connects, self.old.stopped), (set(), {TLS}, False))
        self.successResultOf(self.balancer.reload(config(PLAIN)))
        self.assertIs(self.balancer.listeners["x"].engine, self.old)
        self.assertEqual((self.old.connects, new.connects), ({PLAIN}, set()))
        self.successResultOf(self.balancer.stop())

    def test_a_leaving_namesake(self) -> None:
        """Where a listener of that name leaves with the old engine, the one that took its place keeps what it dials, up
        to the moment that it leaves too."""
        client = connect(self.balancer)
        self.successResultOf(self.balancer.reload(Config()))
        self.successResultOf(self.balancer.reload(config(TLS)))
        new = self.balancer.listeners["x"].engine
        self.assertIsNot(new, self.old)
        seen: list[set[str]] = []
        self.patch(self.balancer.listeners["x"], "accept_waiting", lambda: seen.append(set(new.connects)))
        self.successResultOf(self.balancer.reload(Config()))
        self.assertIn(TLS, seen[0])
        client.connectionLost(Failure(ConnectionLost()))
        self.successResultOf(self.balancer.stop())

    def test_who_is_on_the_way(self) -> None:
        """The old engine knows what those may dial who began on it, until they have ended."""
        pools = {
            "p": PoolSpec("p", (BackendSpec("a", PLAIN),)),
            "q": PoolSpec("q", (BackendSpec("t", TLS),)),
        }
        client = connect(self.balancer)
        moved = Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "q")}, pools=pools)
        self.successResultOf(self.balancer.reload(moved))
        self.assertIsNot(self.balancer.listeners["x"].engine, self.old)
        self.assertIn(PLAIN, self.old.connects)
        client.connectionLost(Failure(ConnectionLost()))
        self.successResultOf(self.balancer.reload(moved))
        self.assertEqual(self.old.connects, set())
        self.successResultOf(self.balancer.stop())
