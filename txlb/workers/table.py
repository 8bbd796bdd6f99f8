"""Counters in memory that several processes share.

The memory has no name, so nothing is left of it when the last process that holds its descriptor ends. Each process has
a column of 64-bit counters and writes in no other one; a counter of the whole is the sum over the columns. An aligned
64-bit store is atomic on every machine that txlb runs on, hence reading needs no lock.

A column holds a heartbeat, then `SLOTS` counters by name (`txlb.workers.slots`), then `ROWS` rows of counters by hash,
for client addresses.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time

HEARTBEAT = 0
"""The counter by which a process shows that its reactor turns."""

FIRST_SLOT = 8
SLOTS = 65536
"""Counters by name, the first few of which serve other ends."""

ROWS = 2
ROW = 16384

CELLS = SLOTS + ROWS * ROW
CELL = 8
COLUMN = CELLS * CELL

PATIENCE = 0.005
"""Seconds to wait for a lock. Who holds one is done in microseconds, unless it was stopped in between; the others must
not stop with it."""


class Table:
    """`columns` columns in the memory behind the descriptor `fd`. `cells[i]` are the counters of process i."""

    def __init__(self, fd: int, columns: int) -> None:
        self.fd = fd
        self.columns = columns
        self._memory = mmap.mmap(fd, columns * COLUMN)
        whole = memoryview(self._memory).cast("q")
        self.cells = [whole[i * CELLS : (i + 1) * CELLS] for i in range(columns)]

    @classmethod
    def create(cls, columns: int) -> Table:
        """New memory, all zero. It takes up what is used of it."""
        fd = os.memfd_create("txlb")
        os.ftruncate(fd, columns * COLUMN)
        return cls(fd, columns)

    def total(self, slot: int) -> int:
        """The sum over all columns."""
        return sum(column[slot] for column in self.cells)

    def raw(self, column: int, cells: int) -> bytes:
        """A copy of the first so many counters of a column, to be compared."""
        start = column * COLUMN
        return self._memory[start : start + cells * CELL]

    def reset(self, column: int) -> None:
        """The process that wrote there is gone, and all that it held with it."""
        start = column * COLUMN
        self._memory[start : start + COLUMN] = bytes(COLUMN)

    def lock(self, cell: int) -> bool:
        """Be the only process that counts in this row of cells; False where that cannot be had soon. The kernel takes
        the lock of a process that ends."""
        deadline = None
        while True:
            try:
                fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, cell)
                return True
            except BlockingIOError:
                now = time.monotonic()
                deadline = deadline or now + PATIENCE
                if now > deadline:
                    return False
                os.sched_yield()

    def unlock(self, cell: int) -> None:
        """Let the others in."""
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, cell)

    def close(self) -> None:
        """Let go of the memory."""
        for column in self.cells:
            column.release()
        self.cells = []
        os.close(self.fd)
