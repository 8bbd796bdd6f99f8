"""What `close_when_down` does to the backend's record."""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.service.fakes import connect, make_balancer
from txlb.specs import BackendSpec, Config, ListenerSpec, OutlierSpec, PoolSpec


class CloseWhenDown(SynchronousTestCase):
    """On fakes."""

    def test_close_when_down_blames_nobody(self) -> None:
        """Connections that are reset because their backend went down are no failures of it."""
        balancer, _, _ = make_balancer(self)
        backends = tuple(BackendSpec(name, f"tcp:192.0.2.{i}:1") for i, name in enumerate("ab", 1))
        pools = {"p": PoolSpec("p", backends, close_when_down=True, outliers=OutlierSpec(failures=1))}
        self.successResultOf(balancer.start(Config(listeners={"x": ListenerSpec("x", ("tcp:80",), "p")}, pools=pools)))
        pool = balancer.pools["p"]
        pool.observe("a", True, "fine")
        clients = [connect(balancer) for _ in range(4)]
        reset = [client for client in clients if client.pair.backend_name == "a"]
        pool.observe("a", False, "gone")
        self.assertEqual([client.pair.reason for client in reset], ["the backend went down: gone"] * 2)
        for client in reset:
            client.connectionLost(Failure(ConnectionAborted()))
        pool.observe("a", True, "back")
        a = pool.backends["a"]
        self.assertEqual((a.outcomes["reset-by-backend"], a.failures, a.outlier, a.eligible), (2, 0, "ok", True))
