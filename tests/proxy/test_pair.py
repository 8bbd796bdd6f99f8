"""The pair, event by event."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.address import UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from tests.proxy.wire import Wire, World
from txlb.events import ConnectionClosed
from txlb.specs import BackendSpec, ListenerSpec, QueueSpec


def limited(backends: tuple[BackendSpec, ...], most: int) -> tuple[BackendSpec, ...]:
    """The same backends, each with a maximum."""
    return tuple(evolve(backend, max_connections=most) for backend in backends)


class Reaching(SynchronousTestCase):
    """From accept until a backend is there."""

    def test_next_backend_after_a_refusal(self) -> None:
        """A refused dial leads to another backend, and what the client sent meanwhile arrives there in order."""
        world = World()
        client = world.accept()
        client.send(b"one")
        world.engine.pending().fail()
        client.send(b"two")
        self.assertEqual([dial.connect for dial in world.engine.dials], ["tcp:192.0.2.0:1", "tcp:192.0.2.1:1"])
        backend = world.engine.pending().succeed()
        client.send(b"three")
        world.turn()
        self.assertEqual(backend.delivered, b"onetwothree")

    def test_retries_are_counted(self) -> None:
        """With `retries: 1` two backends are tried, and the client is reset at once after the last refusal."""
        world = World(backends=5, retries=1)
        client = world.accept()
        world.engine.pending().fail()
        world.engine.pending().fail()
        self.assertEqual(len(world.engine.dials), 2)
        world.turn()
        self.assertTrue(client.aborted and client.gone)

    def test_connect_timeout(self) -> None:
        """A dial that hangs is given up after `connect`, and the next backend is tried."""
        world = World()
        world.accept()
        world.turn(6.5)
        self.assertEqual(len(world.engine.dials), 2)
        self.assertTrue(world.engine.dials[0].over)

    def test_client_resets_during_the_dial(self) -> None:
        """The dial is cancelled and the lease goes back."""
        world = World()
        client = world.accept()
        client.reset()
        world.turn()
        self.assertTrue(world.engine.dials[0].over)
        self.assertEqual(world.pool.open, 0)

    def test_client_resets_while_its_early_bytes_are_held(self) -> None:
        """A client that sent more than is kept is not read from, so its reset is found by asking."""
        world = World()
        client = world.accept()
        client.send(b"x" * 100_000)
        self.assertTrue(client.paused)
        client.reset()
        world.turn(2)
        self.assertTrue(client.gone)
        self.assertEqual(world.pool.open, 0)

    def test_half_close_during_the_dial(self) -> None:
        """A client that has sent all it had to say is served on."""
        world = World()
        client = world.accept()
        client.send(b"question")
        client.send(None)
        backend = world.engine.pending().succeed()
        world.turn()
        self.assertEqual((backend.delivered, backend.write_ended), (b"question", True))
        backend.send(b"answer")
        backend.send(None)
        world.turn()
        self.assertEqual((client.delivered, client.gone, client.aborted), (b"answer", True, False))

    def test_waiting_in_the_queue(self) -> None:
        """When every backend is full the client waits, and is served when a place is free."""
        world = World(backends=1, each=1, queue=QueueSpec(size=1, timeout=60))
        first, second, third = world.accept(), world.accept(), world.accept()
        self.assertEqual(len(world.engine.dials), 1)
        world.turn()
        self.assertTrue(third.aborted)
        first.reset()
        world.turn(0.5)
        self.assertEqual(len(world.engine.dials), 2)
        self.assertFalse(second.gone)

    def test_a_retry_waits_in_the_queue(self) -> None:
        """A client whose dial failed while the other backend is full waits for that one, and is served from there."""
        world = World(queue=QueueSpec(size=10, timeout=60))
        world.pool.reconcile(evolve(world.pool.spec, backends=limited(world.pool.spec.backends, 1)))
        first, second = world.accept(), world.accept()
        world.engine.dials[1].succeed()
        world.engine.dials[0].fail()
        world.turn()
        self.assertFalse(first.aborted)
        self.assertEqual(world.pool.queued, 1)
        second.reset()
        world.turn()
        self.assertEqual([dial.connect for dial in world.engine.dials[2:]], ["tcp:192.0.2.1:1"])
        world.engine.pending().succeed()
        world.turn()
        self.assertFalse(first.gone)

    def test_nothing_left_to_wait_for(self) -> None:
        """A client is reset at once when every backend was tried, though the queue has room."""
        world = World(queue=QueueSpec(size=10, timeout=60))
        client = world.accept()
        world.engine.pending().fail()
        world.engine.pending().fail()
        world.turn()
        self.assertTrue(client.aborted and client.gone)
        self.assertEqual(world.listener.outcomes["refused"], 1)

    def test_the_queue_is_no_dial(self) -> None:
        """The time in the queue counts neither as the backend's time to connect nor towards the connect timeout."""
        world = World(backends=1, each=1, queue=QueueSpec(size=1, timeout=60))
        first = world.accept()
        second = world.accept()
        told: list[ConnectionClosed] = []
        world.bus.subscribe(ConnectionClosed, told.append)
        world.engine.pending().succeed()
        world.turn(20)
        first.reset()
        world.turn(2)
        self.assertIsNotNone(world.engine.pending())
        world.engine.pending().succeed()
        second.reset()
        world.turn(1)
        self.assertAlmostEqual(told[-1].connect, 2, delta=0.5)

    def test_an_engine_that_cannot_dial(self) -> None:
        """An exception in place of a dial is a failed attempt: another backend is tried, and the backend is not blamed."""
        world = World()
        dial = world.engine.dial

        def picky(connect: str, factory: object) -> object:
            if connect == "tcp:192.0.2.0:1":
                raise KeyError(connect)
            return dial(connect, factory)

        world.engine.dial = picky  # type: ignore[method-assign,assignment]
        world.accept()
        self.assertEqual([dial.connect for dial in world.engine.dials], ["tcp:192.0.2.1:1"])
        self.assertEqual(world.pool.backends["b0"].outcomes["local-error"], 1)
        self.assertEqual(world.pool.open, 1)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_leaving_the_queue(self) -> None:
        """A client that goes leaves the queue."""
        world = World(backends=1, each=1, queue=QueueSpec(size=1, timeout=60))
        world.accept()
        second = world.accept()
        self.assertEqual(world.pool.queued, 1)
        second.reset()
        world.turn()
        self.assertEqual(world.pool.queued, 0)


class Moving(SynchronousTestCase):
    """While both sides are there."""

    def setUp(self) -> None:
        self.world = World()
        self.closed: list[ConnectionClosed] = []
        self.world.bus.subscribe(ConnectionClosed, self.closed.append)
        self.client = self.world.accept()
        self.backend = self.world.engine.pending().succeed()
        self.world.turn()

    def outcomes(self) -> list[str]:
        """How connections ended."""
        return [str(event.outcome) for event in self.closed]

    def test_backend_ends_first(self) -> None:
        """The client hears the end, and can still send."""
        self.backend.send(None)
        self.world.turn()
        self.assertTrue(self.client.write_ended)
        self.client.send(b"more")
        self.world.turn()
        self.assertEqual(self.backend.delivered, b"more")
        self.client.send(None)
        self.world.turn()
        self.assertEqual(self.outcomes(), ["ok"])

    def test_backpressure(self) -> None:
        """A client that does not read stops the reading from the backend; when it reads, all arrives."""
        self.client.take(False)
        for _ in range(10):
            self.backend.send(b"x" * 16384)
        self.assertTrue(self.backend.paused)
        self.assertLessEqual(len(self.client.outgoing), 65536)
        self.client.take(True)
        self.world.turn()
        self.assertEqual(len(self.client.delivered), 163840)

    def test_a_reset_is_passed_on_after_the_bytes_before_it(self) -> None:
        """The client gets what the backend had sent, and then a reset, not an end."""
        self.client.take(False)
        self.backend.send(b"last words")
        self.backend.reset()
        self.world.turn(1)
        self.assertFalse(self.client.gone)
        self.client.take(True)
        self.world.turn(1)
        self.assertEqual((self.client.delivered, self.client.aborted), (b"last words", True))
        self.assertEqual(self.outcomes(), ["reset-by-backend"])

    def test_a_reset_of_a_paused_client_is_found(self) -> None:
        """Neither reading nor writing, a transport hears no reset; the sweep finds it within two periods."""
        self.backend.take(False)
        self.client.send(b"x" * 70000)
        self.assertTrue(self.client.paused)
        self.client.reset()
        self.world.turn(2.5 + 5)
        self.assertEqual(self.outcomes(), ["reset-by-client"])
        self.assertTrue(self.backend.gone)

    def test_idle_timeout(self) -> None:
        """No byte either way for `idle`; a byte starts it anew."""
        self.world.turn(50)
        self.client.send(b"x")
        self.world.turn(50)
        self.assertEqual(self.outcomes(), [])
        self.world.turn(13)
        self.assertEqual(self.outcomes(), ["idle-timeout"])
        self.assertTrue(self.client.aborted and self.backend.aborted)

    def test_half_close_timeout(self) -> None:
        """After one end, `half_close` counts from the last byte of the other direction."""
        self.client.send(None)
        self.world.turn(20)
        self.backend.send(b"x")
        self.world.turn(20)
        self.assertEqual(self.outcomes(), [])
        self.world.turn(13)
        self.assertEqual(self.outcomes(), ["half-close-timeout"])

    def test_linger_timeout(self) -> None:
        """After both ends, what a stalled client does not take is reset after `linger`."""
        self.client.take(False)
        self.backend.send(b"x" * 1000)
        self.backend.send(None)
        self.client.send(None)
        self.world.turn(4)
        self.assertEqual(self.outcomes(), [])
        self.world.turn(4)
        self.assertEqual(self.outcomes(), ["linger-timeout"])

    def test_a_slow_reader_is_no_stalled_one(self) -> None:
        """While a client takes what is left, however slowly, `linger` does not end it."""
        self.client.take(False)
        self.backend.send(b"x" * 20)
        self.backend.send(None)
        self.client.send(None)
        for _ in range(10):
            self.world.turn(3)
            self.client.delivered += self.client.outgoing[:1]
            self.client.outgoing = self.client.outgoing[1:]
        self.assertEqual(self.outcomes(), [])
        self.client.take(True)
        self.world.turn()
        self.assertEqual(self.outcomes(), ["ok"])
        self.assertEqual(len(self.client.delivered), 20)

    def test_measured(self) -> None:
        """Connect and first byte are counted from the dial, the duration from the accept."""
        world = World()
        events: list[ConnectionClosed] = []
        world.bus.subscribe(ConnectionClosed, events.append)
        client = world.accept()
        world.turn(1)
        backend = world.engine.pending().succeed()
        world.turn(0.5)
        backend.send(b"x")
        client.send(None)
        backend.send(None)
        world.turn()
        self.assertEqual((events[0].connect, events[0].first_byte, events[0].duration), (1, 1.5, 1.5))

    def test_counted_by_the_listener(self) -> None:
        """What a listener measures is of connections that are over: how, how long, and the bytes of each direction."""
        world = World()
        client, rejected = world.accept(), world.accept()
        backend = world.engine.dials[0].succeed()
        rejected.reset()
        client.send(b"four")
        backend.send(b"fifteen letters")
        world.turn(2)
        client.send(None)
        backend.send(None)
        world.turn()
        seen = world.listener.measurements()
        ended = {outcome: count for outcome, count in seen["outcomes"].items() if count}
        self.assertEqual(ended, {"ok": 1, "reset-by-client": 1})
        self.assertEqual((seen["bytes_in"], seen["bytes_out"]), (4, 15))
        self.assertEqual((sum(seen["duration"][0]), seen["duration"][1] >= 2), (2, True))


class Told(SynchronousTestCase):
    """Proxy headers, limits and the end of a listener."""

    def test_local_clients_are_not_counted(self) -> None:
        """Clients on a UNIX socket have no address, and are not taken for one and the same client, whether the limit was
        there first or comes and goes with a reload."""
        world = World()
        limited = ListenerSpec("web", ("unix:/run/web",), "pool", max_connections_per_client=1)
        listener = world.make_listener(limited)
        self.patch(Wire, "getPeer", lambda wire: UNIXAddress(None))
        clients = [world.accept(listener) for _ in range(3)]
        world.turn()
        self.assertFalse(any(client.aborted for client in clients))
        listener.configure(evolve(limited, max_connections_per_client=None), world.pool, world.engine)
        listener.configure(limited, world.pool, world.engine)
        clients.append(world.accept(listener))
        world.turn()
        self.assertFalse(any(client.aborted for client in clients))
        for client in clients:
            client.reset()
        world.turn()
        self.assertEqual((listener.open, listener.rejected), (0, 0))

    def test_a_place_is_given_back_in_any_case(self) -> None:
        """An error while a connection is accounted for costs neither its place nor the end of a drain."""
        world = World()
        listener = world.make_listener(ListenerSpec("web", ("tcp:80",), "pool", max_connections_per_client=1))
        client = world.accept(listener)
        emptied: list[bool] = []
        listener.when_empty(lambda: emptied.append(True))
        lease = client.protocol.pair.lease
        lease.release("ok")  # so that releasing it again raises
        client.reset()
        self.assertRaises(RuntimeError, world.turn)
        self.assertEqual((listener.open, listener.pairs(), emptied), (0, [], [True]))
        self.assertFalse(world.accept(listener).aborted)

    def test_proxy_header_comes_first(self) -> None:
        """`send_proxy: v1` goes out before what the client sent early."""
        world = World(send_proxy="v1")
        client = world.accept()
        client.send(b"hello")
        backend = world.engine.pending().succeed()
        world.turn()
        self.assertEqual(backend.delivered, b"PROXY TCP4 192.0.2.1 192.0.2.9 %d 80\r\nhello" % client.port)

    def test_limit_per_client(self) -> None:
        """One more connection of the same client than is allowed is reset."""
        world = World()
        listener = world.make_listener(ListenerSpec("web", ("tcp:80",), "pool", max_connections_per_client=1))
        first, second = world.accept(listener), world.accept(listener)
        world.turn()
        self.assertEqual((first.gone, second.aborted), (False, True))
        self.assertEqual((listener.open, listener.total, listener.rejected), (1, 2, 1))

    def test_room(self) -> None:
        """A full listener has no room, and says so when there is some again."""
        world = World()
        made: list[int] = []
        listener = world.make_listener(
            ListenerSpec("web", ("tcp:80",), "pool", max_connections=1), lambda: made.append(listener.room())
        )
        listener.gauge.limit = 1
        client = world.accept(listener)
        self.assertEqual(listener.room(), 0)
        client.reset()
        world.turn()
        self.assertEqual(made, [1])

    def test_abort_all(self) -> None:
        """A drain that is over resets what is left, at whatever stage it is."""
        world = World()
        reaching, moving = world.accept(), world.accept()
        world.engine.dials[1].succeed()
        emptied: list[int] = []
        world.listener.when_empty(lambda: emptied.append(1))
        self.assertEqual(world.listener.abort_all("drained", "over"), 2)
        world.turn()
        self.assertTrue(reaching.gone and moving.gone)
        self.assertEqual(emptied, [1])
        self.assertEqual(world.pool.open, 0)
