"""Server-sent events."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.admin.fakes import STARTED, Client, World, request
from txlb.admin.access import Access
from txlb.admin.streams import HEARTBEAT_EVERY, KINDS, MOST_STREAMS, MOST_WAITING, REMEMBERED, STALLED
from txlb.events import BackendDown, BackendUp, ConnectionClosed, EventBus

CLOSED = ConnectionClosed("web", "web", "a", "rr", "192.0.2.7", 5, "ok", "", 1, 2, 3, 4.0, 0.1, 0.2, 0.3)


def unchunked(data: bytes) -> bytes:
    """The content of chunks."""
    found = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        found, data = found + data[:length], data[length + 2 :]
    return found


def frames(text: str) -> list[dict[str, Any]]:
    """The events, by their fields."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append({"id": fields.get("id"), "event": fields["event"], **json.loads(fields["data"])})
    return found


class StreamCase(SynchronousTestCase):
    """Opens streams."""

    def setUp(self) -> None:
        self.world = World()

    def open(self, query: str = "state=no", **headers: str) -> Client:
        """A consumer; what has come with the head is in `first`."""
        client = self.world.connect()
        client.send(request("GET", f"/api/v1/events?{query}".rstrip("?"), **headers))
        self.head, _, body = client.taken().partition(b"\r\n\r\n")
        self.first = unchunked(body).decode()
        return client

    def text(self, client: Client) -> str:
        """What it got since."""
        return unchunked(client.taken()).decode()

    def publish(self, *events: object) -> None:
        """They happen."""
        for event in events:
            self.world.house.bus.publish(event)


class EventTests(StreamCase):
    """What is told."""

    def test_form(self) -> None:
        """A stream says what it is and how long to wait; each event has an id, its class's name, a time and its values."""
        client = self.open()
        self.assertIn(b"200 OK", self.head)
        self.assertIn(b"Content-Type: text/event-stream", self.head)
        self.assertIn(b"Cache-Control: no-store", self.head)
        self.assertEqual(self.first, "retry: 2000\n\n")
        self.world.clock.advance(3)
        self.publish(BackendDown("web", "a", "status 503\nand more"))
        (event,) = frames(self.text(client))
        self.assertTrue(event.pop("id"))
        self.assertEqual(
            event,
            {
                "event": "BackendDown",
                "time": STARTED + 3,
                "pool": "web",
                "backend": "a",
                "reason": "status 503\nand more",
            },
        )

    def test_every_kind(self) -> None:
        """Whatever is an event on the bus is told of, also those that are yet to be invented."""
        self.assertIn(BackendUp, KINDS)
        self.assertIn(ConnectionClosed, KINDS)
        self.assertNotIn(EventBus, KINDS)
        for kind in KINDS:
            self.assertEqual(self.world.house.bus.wants(kind), kind is not ConnectionClosed)

    def test_connections(self) -> None:
        """Ends of connections are made and told only for who asks; afterwards nobody pays for them any more."""
        bus = self.world.house.bus
        plain, asking = self.open(), self.open("state=no&connections=yes")
        self.assertTrue(bus.wants(ConnectionClosed))
        self.publish(CLOSED)
        self.assertEqual(self.text(plain), "")
        self.assertEqual([event["client_host"] for event in frames(self.text(asking))], ["192.0.2.7"])
        asking.wire.loseConnection()
        self.assertFalse(bus.wants(ConnectionClosed))

    def test_state(self) -> None:
        """One each second while somebody listens, the first at once."""
        client = self.open("")
        self.assertEqual([frame["event"] for frame in frames(self.first)], ["state"])
        self.world.pool.set_admin("a", "drain", "x")
        self.world.clock.advance(1)
        states = [frame for frame in frames(self.text(client)) if frame["event"] == "state"]
        self.assertEqual(states[0]["pools"]["web"]["backends"]["a"]["admin"], "drain")
        client.wire.loseConnection()
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_heartbeat(self) -> None:
        """Also where nothing happens there is a sign of life."""
        client = self.open()
        self.world.clock.pump([1] * HEARTBEAT_EVERY)
        self.assertEqual(self.text(client), ":\n\n")

    def test_refused(self) -> None:
        """A query that says nothing that is known."""
        for query in ("state=maybe", "x=1", "recent=-1", "recent=201", "recent=x", "recent=²"):
            answer = self.world.ask("GET", f"/api/v1/events?{query}".replace("²", "%C2%B2"))
            self.assertEqual(answer.status, 400, query)

    def test_head(self) -> None:
        """HEAD does not open a stream."""
        client = self.world.connect()
        client.send(request("HEAD", "/api/v1/events"))
        self.assertEqual(self.world.clock.getDelayedCalls()[1:], [])
        self.assertIn(b"200 OK", client.taken())


class MemoryTests(StreamCase):
    """Who comes back misses nothing."""

    def test_last_event_id(self) -> None:
        """What came after that one is told first."""
        client = self.open()
        self.publish(*[BackendDown("web", "a", str(number)) for number in range(3)])
        seen = frames(self.text(client))
        self.open(last_event_id=seen[0]["id"])
        self.assertEqual([frame["reason"] for frame in frames(self.first)], ["1", "2"])
        self.open(last_event_id=seen[2]["id"])
        self.assertEqual(frames(self.first), [])

    def test_another_process(self) -> None:
        """After a restart everything is news, and nonsense is taken for such an id."""
        self.publish(BackendDown("web", "a", "x"))
        for ident in ("1-5", "x", "-", "9" * 500, "1-²", f"{int(STARTED * 1000):x}-x"):
            self.open(last_event_id=ident.replace("²", "\xb2"))
            self.assertEqual(len(frames(self.first)), 1, ident)

    def test_recent(self) -> None:
        """A newcomer is told what happened last, where it asks; a bounded number is remembered."""
        self.publish(*[BackendDown("web", "a", str(number)) for number in range(REMEMBERED + 50)])
        self.open("state=no&recent=2")
        self.assertEqual([frame["reason"] for frame in frames(self.first)], ["248", "249"])
        self.open("state=no&recent=200")
        self.assertEqual(len(frames(self.first)), REMEMBERED)
        self.open()
        self.assertEqual(frames(self.first), [])


class BoundTests(StreamCase):
    """Slow, many, and gone."""

    def test_slow(self) -> None:
        """What is not taken waits, of states only the newest, and comes in order when the consumer is back."""
        client = self.open("")
        client.protocol.pauseProducing()
        self.publish(BackendDown("web", "a", "1"), BackendDown("web", "a", "2"))
        self.world.clock.pump([1, 1, 1])
        self.assertEqual(client.taken(), b"")
        client.protocol.resumeProducing()
        self.assertEqual(
            [frame["event"] for frame in frames(self.text(client))], ["BackendDown", "BackendDown", "state"]
        )

    def test_too_slow(self) -> None:
        """One that falls behind too far is dropped, and others are not concerned."""
        slow, other = self.open(), self.open()
        slow.protocol.pauseProducing()
        event = BackendDown("web", "a", "x" * 1000)
        self.publish(*[event] * (MOST_WAITING // 1000 + 1))
        self.assertTrue(slow.wire.aborted)
        self.assertTrue(other.open)

    def test_stalled(self) -> None:
        """One that takes nothing at all is dropped in time, though little waits for it."""
        client = self.open()
        client.protocol.pauseProducing()
        self.world.clock.pump([1] * (STALLED + 2))
        self.assertTrue(client.wire.aborted)

    def test_number(self) -> None:
        """One too many is told to come again."""
        clients = [self.open() for _ in range(MOST_STREAMS)]
        answer = self.world.ask("GET", "/api/v1/events")
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
        clients[3].wire.loseConnection()
        self.open()
        self.assertIn(b"200 OK", self.head)

    def test_other_rules(self) -> None:
        """When the token changes, those who came with the old one have to come again."""
        client = self.open()
        self.world.admin.admit(Access())
        self.assertTrue(client.open)
        self.world.admin.admit(Access(b"new"))
        self.assertFalse(client.open)

    def test_pauses_again(self) -> None:
        """A consumer that is full again after one event gets the next when it is back, and none twice."""
        client = self.open()
        client.protocol.pauseProducing()
        self.publish(*[BackendDown("web", "a", str(number)) for number in range(3)])
        write = client.wire.writeSequence

        def fills(data: list[bytes]) -> None:
            write(data)
            client.protocol.pauseProducing()

        client.wire.writeSequence = fills  # type: ignore[method-assign]
        for number in range(3):
            client.protocol.resumeProducing()
            self.assertEqual([frame["reason"] for frame in frames(self.text(client))], [str(number)])

    def test_no_state(self) -> None:
        """A state that cannot be had is logged; the next is asked for all the same."""
        client = self.open()
        broken = World()
        broken.control.balancer.pools["web"].chain = None  # type: ignore[assignment]
        watching = broken.connect()
        watching.send(request("GET", "/api/v1/events"))
        broken.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 2)
        self.assertTrue(watching.open)
        self.assertTrue(client.open)

    def test_stop(self) -> None:
        """The end leaves no timer, no subscription and no connection."""
        client = self.open("connections=yes")
        self.world.admin.stop()
        self.assertFalse(client.open)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])
        self.assertEqual([kind for kind in KINDS if self.world.house.bus.wants(kind)], [])
