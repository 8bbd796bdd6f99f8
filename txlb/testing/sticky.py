"""What is expected beyond `StrategyConformance` of a strategy that sends a client to the same backend each time."""

from __future__ import annotations

import random
from typing import Any
from unittest import SkipTest

from txlb.testing.conformance import StrategyConformance
from txlb.testing.fakes import FakeBackend, fake_backends, fake_clients
from txlb.testing.ground import Ground


class StickyConformance(StrategyConformance):
    """Set `moves_more` to the part of the other clients that may move when one of twenty backends leaves or comes back;
    None promises nothing."""

    moves_more: float | None = 0.02

    def test_same_client_same_backend(self) -> None:
        """A client's backend does not depend on what happened before, nor on who else came."""
        ground = self.ground(1, 2, 3, 1)
        clients = fake_clients(200)
        first = {client.host: ground.pick(client) for client in clients}
        random.Random(6).shuffle(clients)
        for client in clients:
            self.assertIs(ground.pick(client), first[client.host])

    def test_names_decide(self) -> None:
        """Another node with the same names picks alike, whatever came and went there before."""
        here, there = self.ground(1, 2, 3, 1, 1), self.ground()
        there.offer(fake_backends(1, 2, 3))
        there.offer((FakeBackend("another"), *fake_backends(4, 4, 4, 4, 4, 4)))
        there.offer(fake_backends(1, 2, 3, 1, 1))
        for client in fake_clients(300):
            self.assertEqual(here.pick(client).name, there.pick(client).name)

    def test_few_move(self) -> None:
        """When one of twenty backends leaves, hardly anybody but its own clients moves; when it is back, they are back."""
        if self.moves_more is None:
            raise SkipTest("does not promise that few move")
        ground = self.ground(*[1] * 20)
        everybody, clients = ground.offered, fake_clients(2000)
        before = _picks(ground, clients)
        gone = everybody[7]
        ground.offer(tuple(backend for backend in everybody if backend is not gone))
        after = _picks(ground, clients)
        moved = [host for host, backend in before.items() if backend is not gone and after[host] is not backend]
        self.assertLessEqual(len(moved), self.moves_more * len(clients))
        ground.offer(everybody)
        self.assertEqual(_picks(ground, clients), before)


def _picks(ground: Ground, clients: list[Any]) -> dict[str, Any]:
    return {client.host: ground.pick(client) for client in clients}
