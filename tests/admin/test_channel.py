"""From bytes to requests, and what bounds them."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.fakes import World, request
from txlb.admin.channel import (
    CLOSING_TIME,
    LONGEST_BODY,
    LONGEST_HEADER,
    MOST_CONNECTIONS,
    REQUEST_TIME,
)

BACKEND = "/api/v1/pools/web/backends/a"


class SizeTests(SynchronousTestCase):
    """Nothing is unbounded."""

    def refused(self, *data: bytes) -> int:
        """The one answer's status; the reason is JSON, and the connection is closed."""
        client = World().connect()
        for part in data:
            client.send(part)
        (answer,) = client.answers()
        self.assertTrue(answer.json["error"])
        self.assertEqual(answer.headers["connection"], "close")
        self.assertFalse(client.open)
        return answer.status

    def test_body_told(self) -> None:
        """A body that is announced too long is refused before it comes."""
        head = request("POST", BACKEND, None, content_length=str(LONGEST_BODY + 1), content_type="application/json")
        self.assertEqual(self.refused(head), 413)
        for digits in (16, 5000):
            self.assertEqual(self.refused(request("POST", BACKEND, None, content_length="9" * digits)), 413)

    def test_no_invitation(self) -> None:
        """Who asks before sending is not told to go on."""
        client = World().connect()
        client.send(request("POST", BACKEND, None, content_length=str(10**9), expect="100-continue"))
        self.assertNotIn(b"100 Continue", client.taken())

    def test_body_in_chunks(self) -> None:
        """One that is not announced is refused where it gets too long."""
        chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        head = request("POST", BACKEND, None, transfer_encoding="chunked", content_type="application/json")
        self.assertEqual(self.refused(head, *[chunk] * 10), 413)

    def test_longest_body(self) -> None:
        """One of exactly the longest length is read."""
        body = b'{"weight": 7}'.ljust(LONGEST_BODY)
        self.assertEqual(World().ask("POST", BACKEND, body).status, 200)

    def test_header(self) -> None:
        """One long line, with or without its end, many short ones, and too many."""
        self.assertEqual(self.refused(b"GET /" + b"x" * (LONGEST_HEADER + 10)), 431)
        self.assertEqual(self.refused(b"GET /" + b"x" * (LONGEST_HEADER + 10) + b" HTTP/1.1\r\n"), 431)
        self.assertEqual(self.refused(b"GET / HTTP/1.1\r\n", *[b"a: %s\r\n" % (b"x" * 1000)] * 10), 431)
        self.assertEqual(self.refused(b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 200), 431)

    def test_not_http(self) -> None:
        """What is no request at all."""
        for data in (
            b"\x16\x03\x01\x02\x00\r\n",
            b"GET /\r\n",
            b"GET / HTTP/2.0\r\n",
            b"GET / HTTP/1.1 x\r\n",
            b"G\xffT / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nnocolon\r\n\r\n",
            b"GET / HTTP/1.1\r\na\x00: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ):
            self.assertEqual(self.refused(data), 400, data)

    def test_smuggled(self) -> None:
        """What comes behind a refusal is not looked at."""
        world = World()
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n" + request("POST", BACKEND, {"weight": 9}))
        self.assertEqual([answer.status for answer in client.answers()], [400])
        self.assertEqual(world.pool.backends["a"].effective_weight, 100)


class TimeTests(SynchronousTestCase):
    """Nobody keeps a connection for nothing."""

    def test_slow_request(self) -> None:
        """A request that trickles in is refused when its time is over, however lively it is."""
        world = World()
        client = world.connect()
        for byte in request("GET", "/health", x="x" * 200)[: int(REQUEST_TIME) - 1]:
            client.send(bytes([byte]))
            world.clock.advance(1)
        self.assertTrue(client.open)
        world.clock.advance(1)
        self.assertEqual(client.answers()[0].status, 408)
        self.assertFalse(client.open)

    def test_slow_body(self) -> None:
        """The same for the body."""
        world = World()
        client = world.connect()
        client.send(request("POST", BACKEND, None, content_length="9", content_type="application/json") + b"{")
        world.clock.advance(REQUEST_TIME)
        self.assertEqual(client.answers()[0].status, 408)

    def test_idle(self) -> None:
        """One on which nothing is asked is closed without a word; each request gives it its time again."""
        world = World()
        client = world.connect()
        world.clock.advance(REQUEST_TIME - 1)
        world.ask("GET", "/health", client=client)
        world.clock.advance(REQUEST_TIME - 1)
        self.assertTrue(client.open)
        world.clock.advance(1)
        self.assertFalse(client.open)
        self.assertEqual(client.taken(), b"")

    def test_stays_half_closed(self) -> None:
        """A refusal half-closes and discards what still comes, and after a moment it is over."""
        world = World()
        client = world.connect()
        client.wire.loseWriteConnection = lambda: None  # type: ignore[attr-defined]
        client.send(b"nonsense\r\n")
        client.send(b"x" * 100_000)
        self.assertTrue(client.open)
        self.assertEqual(client.answers()[0].status, 400)
        world.clock.advance(CLOSING_TIME)
        self.assertTrue(client.wire.aborted)

    def test_answers_never_taken(self) -> None:
        """Who asks without reading is not read from any more, so that answers do not pile up, and is dropped in the end."""
        world = World()
        client = world.connect()
        write, taken = client.wire.write, []

        def busy(data: bytes) -> None:
            write(data)
            if len(client.wire.value()) > 65536 and not taken:
                taken.append(True)
                client.protocol.pauseProducing()

        client.wire.write = busy  # type: ignore[method-assign]
        for _ in range(200):
            if client.wire.producerState == "producing":
                client.send(request("GET", "/nothing") * 10)
        self.assertEqual(client.wire.producerState, "paused")
        self.assertLess(len(client.wire.value()), 2 * 65536)
        world.clock.advance(REQUEST_TIME)
        world.clock.advance(CLOSING_TIME)
        self.assertFalse(client.open)

    def test_answers_taken_late(self) -> None:
        """Who takes them after all is read from again."""
        world = World()
        client = world.connect()
        client.protocol.pauseProducing()
        client.protocol.resumeProducing()
        self.assertEqual(client.wire.producerState, "producing")
        self.assertEqual(world.ask("GET", "/health", client=client).status, 200)

    def test_no_timers_left(self) -> None:
        """A connection that has ended leaves nothing behind."""
        world = World()
        before = len(world.clock.getDelayedCalls())
        client = world.connect()
        client.send(b"GET / HT")
        client.wire.loseConnection()
        self.assertEqual(len(world.clock.getDelayedCalls()), before)
        self.assertEqual(world.admin.factory.channels, {})


class CountTests(SynchronousTestCase):
    """How many there are."""

    def test_oldest_idle_one_makes_room(self) -> None:
        """Who only sits there cannot keep others out."""
        world = World()
        clients = [world.connect() for _ in range(MOST_CONNECTIONS)]
        late = world.connect()
        self.assertTrue(clients[0].wire.aborted)
        self.assertEqual(sum(client.open for client in clients), MOST_CONNECTIONS - 1)
        self.assertEqual(world.ask("GET", "/health", client=late).status, 200)

    def test_all_are_being_answered(self) -> None:
        """Where nobody idles there is no room, and the connection is closed."""
        world = World(metrics=Deferred)
        for _ in range(MOST_CONNECTIONS):
            world.connect().send(request("GET", "/metrics"))
        self.assertIsNone(world.admin.factory.buildProtocol(None))

    def test_requests(self) -> None:
        """Many requests on one connection, at once: each is answered, in turn."""
        world = World()
        client = world.connect()
        client.send(request("GET", "/health") * 300 + request("GET", "/nope"))
        self.assertEqual([answer.status for answer in client.answers()], [200] * 300 + [404])
        self.assertTrue(client.open)

    def test_one_a_turn(self) -> None:
        """However many requests come at once, each turn of the reactor answers one."""
        world = World()
        client = world.connect()
        turns = []
        late = world.clock.callLater
        world.clock.callLater = lambda delay, *call: turns.append(call) if delay == 0 else late(delay, *call)  # type: ignore[method-assign]
        client.send(request("GET", "/health") * 3)
        for _ in range(3):
            self.assertEqual(client.answers(), [])
            ((call, *arguments),) = turns
            turns.clear()
            call(*arguments)
            self.assertEqual(len(client.answers()), 1)

    def test_gone_before_its_turn(self) -> None:
        """A client that has left is not answered."""
        world = World()
        client = world.connect()
        client.protocol.dataReceived(request("GET", "/api/v1/events"))
        client.wire.loseConnection()
        world.clock.advance(0)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """`Connection: close` and HTTP/1.0 end it."""
        world = World()
        for data in (request("GET", "/health", connection="close"), b"GET /health HTTP/1.0\r\n\r\n"):
            client = world.connect()
            client.send(data)
            self.assertEqual(client.answers()[0].status, 200)
            self.assertFalse(client.open)

    def test_retired(self) -> None:
        """When the admin leaves its port, idle connections are closed."""
        world = World()
        client = world.connect()
        world.admin.retire()
        self.assertFalse(client.open)
