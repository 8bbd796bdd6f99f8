"""What all strategies have in common that send a client to the same backend each time.

The key (the client's address) is hashed with BLAKE2b, keyed by the option `seed`. The default seed is fixed, so all
nodes with the same config choose alike; a flood of chosen keys can aim at one backend unless a seed is set and kept
secret. Clients on UNIX sockets have no address, so they are all one client.

A strategy says in which order a client would try the backends (`walk`). The first that is neither excluded nor over its
bound is picked. Where the walk ends before that, because nearly all are excluded, those left are compared by rendezvous
hashing: still the same for the same client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any, Literal

from attrs import Attribute, define, field
from zope.interface import alsoProvides, implementer

from txlb.interfaces import IExplains, IObservesLoad, IStrategy
from txlb.strategies.bound import Bound

PROBES = 256
"""Places looked at for one client before those left are listed."""

STOPGAPS = 16
"""Backends tried by the mere remainder of the hash while there is no table at all, or only one of backends long gone."""

EXPLAINED = 32
"""Places that `scores` tells in order."""

Hash = Callable[[bytes], int]


def keyed_hash(seed: int | str, purpose: bytes) -> Hash:
    """A function from bytes to 64 bits; another one for each seed and each purpose (at most 16 bytes)."""
    key = blake2b(str(seed).encode(), digest_size=32).digest()
    keyed = blake2b(key=key, person=purpose, digest_size=8)

    def hash(data: bytes) -> int:
        copy = keyed.copy()
        copy.update(data)
        return int.from_bytes(copy.digest())

    return hash


def _valid_bound(_: Any, attribute: Attribute, value: int) -> None:
    if value != 0 and not 100 < value <= 1000:
        raise ValueError(f"must be 0 (off) or a percentage over 100, such as 125, not {value}", attribute)


@implementer(IStrategy, IExplains)
@define(slots=False, eq=False, kw_only=True)
class Hashing(ABC):
    """The base of the hashing strategies: options, bounded load, exclusion. O(1) beside the walk's own cost."""

    key: Literal["client-ip"] = field(default="client-ip", metadata={"help": "what is hashed"})
    seed: int | str = field(
        default=0, metadata={"help": "keys the hash: the same on all nodes, and secret if it is to guard"}
    )
    bound: int = field(
        default=0,
        validator=_valid_bound,
        metadata={"help": "percent of its fair share of connections that a backend may hold, 125 to 200; 0: no bound"},
    )
    _offered: tuple = field(init=False, default=())
    _members: frozenset = field(init=False, default=frozenset())
    _stale: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self._hash_client = keyed_hash(self.seed, b"client")
        self._hash_name = keyed_hash(self.seed, b"backend")
        self._bound = Bound(self.bound) if self.bound else None
        if self._bound:
            alsoProvides(self, IObservesLoad)

    @abstractmethod
    def build(self, backends: tuple) -> Iterator[None] | None:
        """Make the table of these; ends with it in use."""

    @abstractmethod
    def walk(self, hashed: int) -> Iterable[Any]:
        """The backends in the order in which a client of that hash tries them; may repeat them, may have no end."""

    def rebuild(self, backends: tuple) -> Iterator[None] | None:
        self._offered = backends
        self._members = frozenset(backends)
        if self._bound:
            self._bound.rebuild(backends)
        steps = self.build(backends)
        self._stale = steps is not None
        return self._finish(steps, backends) if steps is not None else None

    def pick(self, client: Any, exclude: Container = ()) -> Any:
        hashed = self.hash_client(client)
        if self._stale:
            exclude = _Gone(exclude, self._members)
        bound = self._bound
        for backend in islice(self.walk(hashed), PROBES):
            if backend not in exclude and not (bound and bound.reached(backend)):
                return backend
        if self._stale:
            for backend in self._stopgaps(hashed):
                if backend not in exclude and not (bound and bound.reached(backend)):
                    return backend
        return self._of_those_left(hashed, exclude)

    def changed(self, backend: Any) -> None:
        """`backend.active` changed; told only where there is a bound."""
        if self._bound:
            self._bound.changed(backend)

    def hash_client(self, client: Any) -> int:
        """64 bits for the client's key; an IPv4 client is the same one on an IPv6 listener."""
        return self._hash_client(client.host.removeprefix("::ffff:").encode())

    def scores(self, client: Any) -> list[tuple[Any, float, str]]:
        """The score is the place in the order in which this client tries them."""
        hashed = self.hash_client(client)
        order = dict.fromkeys(b for b in islice(self.walk(hashed), PROBES) if b in self._members)
        near = list(order)[:EXPLAINED]
        open_ = [b for b in near if not (self._bound and self._bound.reached(b))]
        reached = [b for b in near if self._bound and self._bound.reached(b)]
        far = [b for b in self._offered if b not in set(near)]
        whys = [f"choice {near.index(b) + 1} for {client.host or 'UNIX socket clients'}" for b in open_]
        whys += [f"choice {near.index(b) + 1}, but at its bound of {self.bound} %" for b in reached]
        whys += ["further away"] * len(far)
        return [
            (b, float(place), why) for place, (b, why) in enumerate(zip(open_ + reached + far, whys, strict=True), 1)
        ]

    def _of_those_left(self, hashed: int, exclude: Container) -> Any:
        left = [backend for backend in self._offered if backend not in exclude]
        if self._bound:
            left = [backend for backend in left if not self._bound.reached(backend)] or left
        salt = hashed.to_bytes(8)
        return max(left, key=lambda backend: self._hash_name(salt + backend.name.encode()), default=None)

    def _stopgaps(self, hashed: int) -> Iterator[Any]:
        offered = self._offered
        return (offered[(hashed >> shift) % len(offered)] for shift in range(STOPGAPS if offered else 0))

    def _finish(self, steps: Iterator[None], backends: tuple) -> Iterator[None]:
        yield from steps
        if self._offered is backends:
            self._stale = False


class _Gone:
    """Excluded, or no longer offered: what the old table names while the new one is made."""

    __slots__ = ("_exclude", "_members")

    def __init__(self, exclude: Container, members: frozenset) -> None:
        self._exclude = exclude
        self._members = members

    def __contains__(self, backend: object) -> bool:
        return backend not in self._members or backend in self._exclude
