"""The pair under any order of events on both sides."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.proxy.wire import TIMEOUTS, World
from txlb.events import ConnectionClosed

SIZES = st.sampled_from([1, 7, 1023, 1024, 1025, 32768, 32769, 65536, 65537])

EVENT = st.one_of(
    st.tuples(st.sampled_from(["client sends", "backend sends"]), SIZES),
    st.tuples(
        st.sampled_from(
            [
                "client ends",
                "backend ends",
                "client resets",
                "backend resets",
                "client stops reading",
                "client reads on",
                "backend stops reading",
                "backend reads on",
                "backend accepts",
                "backend refuses",
            ]
        ),
        st.just(0),
    ),
    st.tuples(st.just("time passes"), st.sampled_from([0, 1, 6, 31])),
)


class Play:
    """Carries out a list of events on one connection, and keeps what each end has sent."""

    def __init__(self) -> None:
        self.world = World()
        self.closed: list[ConnectionClosed] = []
        self.world.bus.subscribe(ConnectionClosed, self.closed.append)
        self.client = self.world.accept()
        self.sent = {"client": b"", "backend": b""}
        self.ended: set[str] = set()
        self.counter = 0

    @property
    def backend(self):
        """The backend's wire, once one has accepted."""
        return self.world.engine.backends[0] if self.world.engine.backends else None

    def act(self, what: str, amount: int) -> None:
        """One event, if it can happen now."""
        side, _, verb = what.partition(" ")
        dial = self.world.engine.pending()
        if what == "time passes":
            self.world.turn(amount)
        elif verb == "accepts":
            if dial is not None and self.backend is None:
                dial.succeed()
        elif verb == "refuses":
            if dial is not None:
                dial.fail()
        else:
            self._act_on(side, verb, amount)
        self.world.turn()

    def _act_on(self, side: str, verb: str, amount: int) -> None:
        wire = self.client if side == "client" else self.backend
        if wire is None or wire.gone or wire.reset_by_peer:
            return
        if verb == "stops reading":
            wire.take(False)
        elif verb == "reads on":
            wire.take(True)
        elif verb == "resets":
            self.ended.add(side)
            wire.reset()
        elif side not in self.ended and verb == "ends":
            self.ended.add(side)
            wire.send(None)
        elif side not in self.ended and verb == "sends":
            self.counter += 1
            data = bytes([self.counter % 251]) * amount
            self.sent[side] += data
            wire.send(data)


class PairProperties(SynchronousTestCase):
    """What holds whatever happens."""

    @settings(max_examples=200, deadline=None)
    @given(st.lists(EVENT, max_size=25))
    def test_any_order(self, events) -> None:
        """What comes out is a prefix of what went in; buffers are bounded; in bounded time both ends are closed, the
        lease is released once, one event is told, and no producer and no timer is left."""
        play = Play()
        for what, amount in events:
            play.act(what, amount)
            self._check_bytes(play)
        play.world.turn(2 * TIMEOUTS.idle + 2 * TIMEOUTS.connect * 4 + 10)
        self._check_bytes(play)
        self.assertTrue(play.client.gone)
        self.assertTrue(all(wire.gone and wire.producer is None for wire in play.world.engine.backends))
        self.assertIsNone(play.client.producer)
        self.assertEqual(len(play.closed), 1)
        self.assertEqual(play.world.pool.open, 0)
        self.assertEqual(play.world.listener.open, 0)
        self.assertEqual(sum(backend.active for backend in play.world.pool.backends.values()), 0)
        play.world.pool.stop()
        play.world.turn(2)
        self.assertEqual(play.world.clock.getDelayedCalls(), [])

    def _check_bytes(self, play: Play) -> None:
        self.assertTrue(play.sent["backend"].startswith(play.client.delivered))
        if play.backend is not None:
            self.assertTrue(play.sent["client"].startswith(play.backend.delivered))
            self.assertLessEqual(len(play.backend.outgoing), 2 * 65537 + 65536)
            self.assertLessEqual(len(play.client.outgoing), 2 * 65537)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(["client sends", "backend sends"]), SIZES), max_size=12), st.booleans())
    def test_a_clean_end_loses_nothing(self, events, client_first) -> None:
        """Where both ends finish by themselves and read, each gets all that the other sent, also after its own end,
        and then the other's end."""
        play = Play()
        third = len(events) // 3
        for what, amount in events[:third]:
            play.act(what, amount)
        play.act("backend accepts", 0)
        for what, amount in events[third : 2 * third]:
            play.act(what, amount)
        first, second = ("client", "backend") if client_first else ("backend", "client")
        play.act(f"{first} ends", 0)
        for _, amount in events[2 * third :]:
            self.assertFalse(play.client.gone or play.backend.gone)
            play.act(f"{second} sends", amount)
        play.act(f"{second} ends", 0)
        play.world.turn(1)
        self.assertEqual(play.backend.delivered, play.sent["client"])
        self.assertEqual(play.client.delivered, play.sent["backend"])
        self.assertFalse(play.client.aborted or play.backend.aborted)
        self.assertEqual([event.outcome for event in play.closed], ["ok"])
        self.assertEqual(play.closed[0].bytes_in, len(play.sent["client"]))
        self.assertEqual(play.closed[0].bytes_out, len(play.sent["backend"]))
