"""Any order of sends, reads, half-closes and resets on real sockets: what comes out is what went in, as far as it can be."""

from __future__ import annotations

import contextlib
import os
import random
import socket

from attrs import Factory, define

from tests.integration.conformance.case import ConformanceCase, blocking
from tests.integration.streams import Reading, Stream
from tests.integration.wire import PATIENCE, Backend, half_close, read_exactly, reset, unacknowledged

SCRIPTS = int(os.environ.get("TXLB_SCRIPTS", "100"))
ACTS = ("send", "send", "send", "read", "read", "end", "reset")
SIZES = (1, 1000, 65536, 65537, 300_000)


@define
class Actor:
    """One end, with what it has sent and read. `told` is how many bytes the proxy's kernel had at its reset."""

    sock: socket.socket
    stream: Stream
    sent: int = 0
    got: bytearray = Factory(bytearray)
    ended: bool = False
    gone: bool = False
    heard_reset: bool = False
    told: int = 0

    def act(self, what: str, size: int) -> None:
        """One step, without waiting."""
        if self.gone:
            return
        self.sock.setblocking(False)
        try:
            getattr(self, what)(size)
        except BlockingIOError:
            return
        except (ConnectionResetError, BrokenPipeError):
            self.heard_reset = True

    def send(self, size: int) -> None:
        """Send as much of it as is taken now."""
        if not self.ended and not self.heard_reset:
            self.sent += self.sock.send(self.stream.data()[self.sent : self.sent + size])

    def read(self, size: int) -> None:
        """Read what is there now."""
        self.got += self.sock.recv(size)

    def end(self, size: int = 0) -> None:
        """Half-close."""
        if not self.ended and not self.heard_reset:
            self.ended = True
            with contextlib.suppress(OSError):  # a reset has come, and the next read tells
                half_close(self.sock)

    def reset(self, size: int) -> None:
        """Reset."""
        self.told = self.sent - unacknowledged(self.sock)
        self.gone = True
        reset(self.sock)


class Orders(ConformanceCase):
    """Scripts from a seeded random source; a failure names its seed. `TXLB_SCRIPTS` sets how many are played."""

    keeps_paused_bytes = True

    @blocking
    def test_any_order(self) -> None:
        """Bytes out are a prefix of bytes in, and equal when nobody resets; nobody hangs, and nothing is left open."""
        backend = Backend()
        self.stage.open(backend.place)
        for seed in range(SCRIPTS):
            rng = random.Random(seed)
            actors = (
                Actor(self.stage.client(), Stream(4_000_000, 1)),
                Actor(backend.accept(), Stream(4_000_000, 2)),
            )
            self.meet(*actors)
            for _ in range(rng.randrange(12)):
                rng.choice(actors).act(rng.choice(ACTS), rng.choice(SIZES))
            self.conclude(seed, actors)

    def meet(self, *actors: Actor) -> None:
        """A byte each way first: a reset during the dial is another matter."""
        for actor, other in (actors, actors[::-1]):
            actor.act("send", 1)
            other.sock.settimeout(PATIENCE)
            other.got += read_exactly(other.sock, 1)

    def conclude(self, seed: int, actors: tuple[Actor, Actor]) -> None:
        """Both end what they have not ended, and read what is left."""
        alive = [actor for actor in actors if not actor.gone]
        for actor in alive:
            actor.act("end", 0)
        readings = {id(actor): Reading(actor.sock, keep=actor.got) for actor in alive}
        for actor, other in (actors, actors[::-1]):
            if actor.gone:
                continue
            how = readings[id(actor)].end().how
            self.assertNotEqual("hung", how, f"seed {seed}")
            self.assertEqual(other.stream.data()[: len(actor.got)], bytes(actor.got), f"seed {seed}")
            self.assertLessEqual(len(actor.got), other.sent, f"seed {seed}")
            self.compare(seed, actor, other, how)
        for actor in actors:
            actor.sock.close()

    def compare(self, seed: int, actor: Actor, other: Actor, how: str) -> None:
        """What this one must have read of the other."""
        if not other.gone:
            self.assertEqual((other.sent, "eof"), (len(actor.got), how), f"seed {seed}")
            return
        if self.keeps_paused_bytes:
            self.assertGreaterEqual(len(actor.got), other.told, f"seed {seed}")
        if not other.ended and not actor.heard_reset:
            self.assertEqual("reset", how, f"seed {seed}")
