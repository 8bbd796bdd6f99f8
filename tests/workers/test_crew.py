"""The workers as the parent sees them: started, replaced, asked; on a clock, with workers that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.workers.backoff import FIRST
from txlb.workers.channel import Message
from txlb.workers.crew import HUNG, LOOK_EVERY, STARTUP, Crew, CrewFailed, Worker
from txlb.workers.table import HEARTBEAT, Table


class FakeWorker:
    """A process that does what the test says."""

    def __init__(self, pid: int, told: Callable[[Message, list[int]], object], ended: Callable[[str], object]) -> None:
        self.pid = pid
        self.heard: list[Message] = []
        self.told = told
        self.ended = ended
        self.channel = self
        self.killed = self.closed = False

    def tell(self, message: Message, descriptors: Any = ()) -> None:
        """The parent's message."""
        self.heard.append(message)

    def close(self) -> None:
        """The parent's end of the channel."""
        self.closed = True

    def kill(self) -> None:
        """The kernel tells of it later."""
        self.killed = True

    def ready(self) -> None:
        """It says so."""
        self.told({"do": "ready"}, [])

    def answer(self, **what: object) -> None:
        """It answers the last question."""
        self.told({**what, "re": self.heard[-1]["id"]}, [])


class CrewTests(SynchronousTestCase):
    """Two workers."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = Table.create(2)
        self.addCleanup(self.table.close)
        self.spawned: list[tuple[int, FakeWorker]] = []
        self.said: list[tuple[int, Message]] = []
        self.gone: list[int] = []
        self.crew = Crew(2, self.spawn, self.clock, self.table, self.hello, self.told, self.left)  # type: ignore[arg-type]
        self.started = self.crew.start()

    def spawn(self, number: int, told: Any, ended: Any) -> FakeWorker:
        """In place of a process."""
        worker = FakeWorker(100 + len(self.spawned), told, ended)
        self.spawned.append((number, worker))
        return worker

    def hello(self, number: int) -> tuple[Message, list[int]]:
        """What a new one is told."""
        return {"do": "hello", "number": number}, []

    def told(self, worker: Worker, message: Message) -> None:
        """What workers say."""
        self.said.append((worker.number, message))

    def left(self, worker: Worker) -> None:
        """One has ended."""
        self.gone.append(worker.number)

    def worker(self, number: int) -> FakeWorker:
        """The last one that was started with this number."""
        return next(worker for n, worker in reversed(self.spawned) if n == number)

    def make_ready(self) -> None:
        """Both are ready."""
        for number in (0, 1):
            self.worker(number).ready()
        self.successResultOf(self.started)

    def test_start(self) -> None:
        """All are told hello, and the start is over when the last one is ready."""
        self.assertEqual([w.heard[0] for _, w in self.spawned], [{"do": "hello", "number": n} for n in (0, 1)])
        self.worker(0).ready()
        self.assertNoResult(self.started)
        self.worker(1).ready()
        self.successResultOf(self.started)

    def test_start_fails(self) -> None:
        """One that ends before all were ready fails the start with its complaint; nobody is started again."""
        self.worker(0).ready()
        self.worker(1).told({"do": "cannot", "why": "no licence"}, [])
        self.worker(1).ended("ended with exit code 70")
        failure = self.failureResultOf(self.started, CrewFailed)
        self.assertIn("worker 1 ended with exit code 70: no licence, before it was ready", str(failure.value))
        self.clock.advance(60)
        self.assertEqual(len(self.spawned), 2)

    def test_replaced(self) -> None:
        """One that ends later is replaced at once, under its number, with its column cleared; the next time it waits."""
        self.make_ready()
        self.table.cells[1][20] = 5
        self.worker(1).ended("was ended by SIGKILL")
        self.assertEqual((self.table.cells[1][20], self.gone), (0, [1]))
        self.clock.advance(0)
        self.assertEqual([number for number, _ in self.spawned], [0, 1, 1])
        self.worker(1).ended("ended with exit code 1")
        self.clock.advance(FIRST / 2)
        self.assertEqual(len(self.spawned), 3)
        self.clock.advance(FIRST / 2)
        self.assertEqual(len(self.spawned), 4)

    def beat(self, *numbers: int) -> None:
        """Time until the next look, with these alive."""
        for number in numbers:
            self.table.cells[number][HEARTBEAT] += 1
        self.clock.advance(LOOK_EVERY)

    def test_hung(self) -> None:
        """One whose heartbeat stands still is killed, not before it has been seen so several times in a row."""
        self.make_ready()
        for _ in range(HUNG - 1):
            self.beat(0)
        self.beat(0, 1)
        for _ in range(HUNG - 1):
            self.beat(0)
        self.assertFalse(self.worker(1).killed)
        self.beat(0)
        self.assertEqual((self.worker(0).killed, self.worker(1).killed), (False, True))

    def test_a_pause_of_the_parent(self) -> None:
        """Time that passes without looks, as when the machine sleeps, kills nobody."""
        self.make_ready()
        self.clock.advance(100.0)
        self.assertFalse(self.worker(0).killed or self.worker(1).killed)

    def test_never_ready(self) -> None:
        """One that takes too long to start is killed."""
        self.worker(0).ready()
        while self.clock.seconds() < STARTUP + 2 * LOOK_EVERY:
            self.beat(0)
        self.assertEqual((self.worker(0).killed, self.worker(1).killed), (False, True))
        self.assertNoResult(self.started)

    def test_ask(self) -> None:
        """All answers by number; one that ends instead has none."""
        self.make_ready()
        answers = self.crew.ask({"do": "figures"})
        self.worker(0).answer(total=3)
        self.assertNoResult(answers)
        self.worker(1).ended("was ended by SIGKILL")
        self.assertEqual(self.successResultOf(answers), {0: {"total": 3}})

    def test_ask_in_time(self) -> None:
        """One that takes too long is not waited for, and its answer harms nobody when it comes."""
        self.make_ready()
        answers = self.crew.ask({"do": "figures"}, 1.0)
        self.worker(0).answer(total=3)
        self.clock.advance(1.0)
        self.assertEqual(list(self.successResultOf(answers)), [0])
        self.worker(1).answer(total=4)

    def test_news(self) -> None:
        """What a worker says of its own accord is passed on with who said it."""
        self.make_ready()
        self.worker(1).told({"do": "met", "verdicts": []}, [])
        self.assertEqual(self.said, [(1, {"do": "met", "verdicts": []})])

    def test_drain(self) -> None:
        """All are told, nobody is replaced, and it is over when the last one is gone."""
        self.make_ready()
        self.worker(1).ended("was ended by SIGKILL")
        drained = self.crew.drain()
        self.clock.advance(60)
        self.assertEqual(len(self.spawned), 2)
        self.assertEqual(self.worker(0).heard[-1], {"do": "drain"})
        self.assertNoResult(drained)
        self.worker(0).ended("ended with exit code 0")
        self.successResultOf(drained)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """All are killed, drain or not."""
        self.make_ready()
        drained, stopped = self.crew.drain(), self.crew.stop()
        for number in (0, 1):
            self.assertTrue(self.worker(number).killed)
            self.worker(number).ended("was ended by SIGKILL")
        self.successResultOf(drained)
        self.successResultOf(stopped)
