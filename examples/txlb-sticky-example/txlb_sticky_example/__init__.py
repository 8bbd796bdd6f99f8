"""Every client has two backends of its own, and gets the one that is less loaded.

Their caches stay warm for it, and yet a popular client cannot overload one. The two are those that win a rendezvous.
"""

from hashlib import blake2b
from heapq import nlargest
from math import log

from attrs import define, field
from zope.interface import implementer

from txlb.interfaces import IStrategy


@implementer(IStrategy)
@define(eq=False)
class StickyPair:
    salt: str = field(default="", metadata={"help": "another text, other pairs; the same on all nodes"})
    backends: tuple = field(init=False, default=())

    def rebuild(self, backends):
        self.backends = backends

    def pick(self, client, exclude=()):
        left = [backend for backend in self.backends if backend not in exclude]
        two = nlargest(2, left, key=lambda backend: self.drawn(client, backend))
        return min(two, key=lambda backend: backend.active / backend.weight, default=None)

    def drawn(self, client, backend):
        digest = blake2b(f"{self.salt} {client.host} {backend.name}".encode(), digest_size=8).digest()
        return backend.weight / -log((int.from_bytes(digest) + 0.5) / 2**64)
