"""Backends and clients without a pool."""

from __future__ import annotations

from attrs import define, field, frozen
from twisted.internet.address import IPv4Address
from zope.interface import implementer

from txlb.interfaces import IBackend, IClient


@implementer(IBackend)
@define(eq=False)
class FakeBackend:
    """A backend whose numbers a test sets. `weight` is the effective one: 100 stands for a configured weight of 1."""

    name: str
    weight: int = 100
    active: int = 0
    up_since: float = 0.0

    def __lt__(self, other: FakeBackend) -> bool:
        return self.name < other.name


@implementer(IClient)
@frozen
class FakeClient:
    """A client from an address."""

    host: str = "192.0.2.7"
    port: int = 40000
    listener: str = "web"
    address: IPv4Address = field(init=False, eq=False)

    @address.default
    def _made_from_host(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, self.port)


def fake_backends(*weights: int) -> tuple[FakeBackend, ...]:
    """One for each configured weight, ordered by name: `fake_backends(5, 1, 1)`."""
    return tuple(FakeBackend(f"backend-{number:05}", weight * 100) for number, weight in enumerate(weights))


def fake_clients(count: int) -> list[FakeClient]:
    """Clients with addresses of their own, at most 65,536."""
    return [FakeClient(f"198.18.{number >> 8}.{number & 255}") for number in range(count)]
