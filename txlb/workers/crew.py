"""The workers as the parent sees them: as many as were asked for, whatever becomes of one.

A worker is *starting* until it says that it is ready, which it is expected to say within `STARTUP` seconds, and then
*serving*. One that ends is replaced (`txlb.workers.backoff`). One whose heartbeat stands still is killed, which replaces
it. Heartbeats are compared a number of times, not with a clock, so that a pause of this process or of the whole machine
is not taken for one of a worker.

Before all have been ready for the first time, one that ends is no accident but a fault that a replacement would have
too: then the start fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb.errors import TxlbError
from txlb.workers.backoff import Backoff
from txlb.workers.channel import Message
from txlb.workers.spawning import Spawned
from txlb.workers.table import HEARTBEAT, Table

log = Logger()

LOOK_EVERY = 0.5
HUNG = 6
"""Looks in a row that found no heartbeat: three seconds."""

STARTUP = 60.0
"""Seconds that a worker has for its start, on a busy machine and with a big configuration."""

Spawn = Callable[[int, Callable[[Message, list[int]], object], Callable[[str], object]], Spawned]


class CrewFailed(TxlbError):
    """The workers cannot be started; the message says why."""


class WorkerLost(TxlbError):
    """The worker ended before it answered."""


@define(eq=False)
class Worker:
    """One worker process."""

    number: int
    started: float
    spawned: Spawned = field(init=False)
    ready: bool = False
    complaint: str = ""
    figures: Message | None = None
    _asked: dict[int, Deferred[Message]] = field(factory=dict, init=False)
    _ids: Any = field(factory=count, init=False)
    _beat: int = field(default=0, init=False)
    _missed: int = field(default=0, init=False)

    def ask(self, message: Message, descriptors: Iterable[int] = ()) -> Deferred[Message]:
        """Its answer; fails with WorkerLost."""
        number = next(self._ids)
        answer = self._asked[number] = Deferred()
        self.spawned.channel.tell({**message, "id": number}, descriptors)
        return answer

    def answered(self, message: Message) -> None:
        """It said something that answers a question."""
        self._asked.pop(message.pop("re")).callback(message)

    def lost(self, reason: str) -> None:
        """It is gone, and answers nothing any more."""
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.errback(Failure(WorkerLost(f"worker {self.number} {reason}")))

    def hangs(self, beat: int) -> bool:
        """Take a look at its heartbeat; returns whether it has stood still for too long."""
        self._missed = 0 if beat != self._beat else self._missed + 1
        self._beat = beat
        return self._missed >= HUNG


class Crew:
    """`hello(number)` is what a new worker is told first: a message and descriptors. `told(worker, message)` is called
    with what workers say of their own accord; `joined(worker)` when one is ready, `left(worker)` when one has ended."""

    def __init__(
        self,
        size: int,
        spawn: Spawn,
        clock: IReactorTime,
        table: Table,
        hello: Callable[[int], tuple[Message, list[int]]],
        told: Callable[[Worker, Message], object],
        left: Callable[[Worker], object],
    ) -> None:
        self.size = size
        self.workers: dict[int, Worker] = {}
        self.ending = False
        self._spawn, self._clock, self._table = spawn, clock, table
        self._hello, self._told, self._left = hello, told, left
        self._backoffs = [Backoff() for _ in range(size)]
        self._calls: dict[int, IDelayedCall] = {}
        self._all_ready: Deferred[None] | None = None
        self._all_gone: list[Deferred[None]] = []
        self._look = LoopingCall(self._look_at_all)
        self._look.clock = clock

    def start(self) -> Deferred[None]:
        """Start all; fires when all are ready, or fails with CrewFailed. Whoever was started then is still there."""
        self._all_ready = Deferred()
        started = self._all_ready
        for number in range(self.size):
            self._start(number)
        self._look.start(LOOK_EVERY, now=False)
        return started

    @property
    def serving(self) -> list[Worker]:
        """Those that are ready, by number."""
        return [worker for _, worker in sorted(self.workers.items()) if worker.ready]

    def tell(self, message: Message) -> None:
        """Say something to all, also to those that have only just been started: they hear it after their hello."""
        for worker in list(self.workers.values()):
            worker.spawned.channel.tell(message)

    def ask(
        self,
        message: Message,
        seconds: float | None = None,
        descriptors: Callable[[int], list[int]] = lambda number: [],
    ) -> Deferred[dict[int, Message]]:
        """Ask all that are there; fires with the answers by number. One that ends before it answers has none, nor has
        one that takes longer than `seconds`. `descriptors(number)` go with the question."""
        answers: dict[int, Message] = {}
        done: Deferred[dict[int, Message]] = Deferred()
        asked = []
        for worker in list(self.workers.values()):
            answer = worker.ask(message, descriptors(worker.number))
            answer.addCallbacks(lambda got, number=worker.number: answers.__setitem__(number, got), _lost)
            asked.append(answer)
        late = None if seconds is None else self._clock.callLater(seconds, done.callback, answers)
        gatherResults(asked).addCallback(lambda _: _in_time(done, answers, late))
        return done

    def drain(self) -> Deferred[None]:
        """Have all end when their connections have. Fires when they are gone; nobody is replaced any more."""
        self._end()
        self.tell({"do": "drain"})
        return self._when_gone()

    def stop(self) -> Deferred[None]:
        """End all now; fires when they are gone."""
        self._end()
        for worker in list(self.workers.values()):
            worker.spawned.kill()
        return self._when_gone()

    def replace(self, worker: Worker, reason: str) -> None:
        """Have this worker killed and another one take its place."""
        log.error("Worker {number} {reason}; it is killed", number=worker.number, reason=reason)
        worker.spawned.kill()

    def _end(self) -> None:
        self.ending = True
        for call in self._calls.values():
            call.cancel()
        self._calls.clear()

    def _when_gone(self) -> Deferred[None]:
        gone: Deferred[None] = Deferred()
        self._all_gone.append(gone)
        self._tell_if_gone()
        return gone

    def _tell_if_gone(self) -> None:
        if self.ending and not self.workers:
            if self._look.running:
                self._look.stop()
            waiting, self._all_gone = self._all_gone, []
            for gone in waiting:
                gone.callback(None)

    def _start(self, number: int) -> None:
        self._calls.pop(number, None)
        worker = Worker(number, self._clock.seconds())
        worker.spawned = self._spawn(
            number,
            lambda message, descriptors: self._heard(worker, message),
            lambda reason: self._ended(worker, reason),
        )
        self.workers[number] = worker
        worker.spawned.channel.tell(*self._hello(number))

    def _heard(self, worker: Worker, message: Message) -> None:
        if "re" in message:
            worker.answered(message)
        elif message["do"] == "ready":
            self._is_ready(worker)
        elif message["do"] == "cannot":
            worker.complaint = message["why"]
        else:
            self._told(worker, message)

    def _is_ready(self, worker: Worker) -> None:
        worker.ready = True
        log.info("Worker {number} is ready (pid {pid})", number=worker.number, pid=worker.spawned.pid)
        if self._all_ready is not None and len(self.serving) == self.size:
            started, self._all_ready = self._all_ready, None
            started.callback(None)

    def _ended(self, worker: Worker, reason: str) -> None:
        del self.workers[worker.number]
        worker.spawned.channel.close()
        self._table.reset(worker.number)
        worker.lost(reason)
        self._left(worker)
        if self.ending:
            self._tell_if_gone()
            return
        why = f"{reason}: {worker.complaint}" if worker.complaint else reason
        if self._all_ready is not None:
            started, self._all_ready = self._all_ready, None
            self._end()
            started.errback(Failure(CrewFailed(f"worker {worker.number} {why}, before it was ready")))
            return
        delay = self._backoffs[worker.number].after(self._clock.seconds() - worker.started)
        log.error("Worker {number} {why}; replaced in {delay} s", number=worker.number, why=why, delay=delay)
        self._calls[worker.number] = self._clock.callLater(delay, self._start, worker.number)

    def _look_at_all(self) -> None:
        for worker in list(self.workers.values()):
            beat = self._table.cells[worker.number][HEARTBEAT]
            if worker.ready:
                if worker.hangs(beat):
                    self.replace(worker, f"has not moved for {HUNG * LOOK_EVERY:g} s")
            elif self._clock.seconds() - worker.started > STARTUP:
                self.replace(worker, f"was not ready within {STARTUP:g} s")


def _in_time(done: Deferred[dict[int, Message]], answers: dict[int, Message], late: IDelayedCall | None) -> None:
    if late is not None and late.active():
        late.cancel()
    if not done.called:
        done.callback(answers)


def _lost(failure: Failure) -> None:
    failure.trap(WorkerLost)
