"""Workers that take turns at every single access to shared memory, in any order that a test wants.

Each runs in a thread of its own, of which only one is awake at a time; reading a counter, writing one and taking a lock
are the points at which another may go on. So a race is a choice, and a test can try them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field

CELLS = 16


@define
class Turns:
    """`order` yields who goes next, as a place among those that are not done."""

    order: Iterator[int]
    running: dict[int, threading.Semaphore] = field(factory=dict)
    ours: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    current: int | None = None
    failures: list[BaseException] = field(factory=list)

    def run(self, *tasks: Callable[[], object]) -> None:
        """Run these to their ends, a step at a time; raises what one of them raised."""
        threads = []
        for number, task in enumerate(tasks):
            self.running[number] = threading.Semaphore(0)
            threads.append(threading.Thread(target=self._run, args=(number, task), daemon=True))
        for thread in threads:
            thread.start()
        while self.running:
            waiting = sorted(self.running)
            self.current = waiting[next(self.order) % len(waiting)]
            self.running[self.current].release()
            self.ours.acquire()
        self.current = None
        if self.failures:
            raise self.failures[0]

    def step(self) -> None:
        """Let somebody else go on, or not."""
        if self.current is not None:
            mine = self.running[self.current]
            self.ours.release()
            mine.acquire()

    def _run(self, number: int, task: Callable[[], object]) -> None:
        self.running[number].acquire()
        try:
            task()
        except BaseException as error:
            self.failures.append(error)
        del self.running[number]
        self.ours.release()


@define
class Column:
    """Counters that are read and written a step at a time."""

    turns: Turns
    values: list[int] = field(factory=lambda: [0] * CELLS)

    def __getitem__(self, cell: int) -> int:
        self.turns.step()
        return self.values[cell]

    def __setitem__(self, cell: int, value: int) -> None:
        self.turns.step()
        self.values[cell] = value


class SteppedTable:
    """A table in place of `txlb.workers.table.Table`."""

    def __init__(self, turns: Turns, columns: int) -> None:
        self.turns = turns
        self.cells: Any = [Column(turns) for _ in range(columns)]
        self.holder: object = None

    def lock(self, cell: int) -> bool:
        """Wait until it is free."""
        while self.holder is not None:
            self.turns.step()
        self.holder = threading.current_thread()
        self.turns.step()
        return True

    def unlock(self, cell: int) -> None:
        """Let the others in."""
        assert self.holder is threading.current_thread()
        self.holder = None
        self.turns.step()
