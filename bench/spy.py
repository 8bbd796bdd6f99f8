"""A strategy that tells when each worker picks, and when it learns that a load has changed.

It runs inside txlb's workers and appends lines to the file that the environment names; whoever reads them can tell how
long one worker's change takes to reach the others. All processes of a machine share the monotonic clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterable, Sequence

from attrs import define, field, frozen
from zope.interface import implementer

from txlb.interfaces import IBackend, IClient, IObservesLoad, IStrategy

FILE = "TXLB_BENCH_SPY"
PICK, CHANGE = "pick", "change"


@implementer(IStrategy, IObservesLoad)
@define(eq=False)
class Spy:
    """Always the first backend; whatever happens is told."""

    _backends: tuple[IBackend, ...] = field(default=(), init=False)
    _tell: Callable[[str], None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        descriptor = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        start = f"{os.getpid()} "
        self._tell = lambda what: _append(descriptor, f"{start}{time.monotonic_ns()} {what}\n")

    def rebuild(self, backends: Sequence[IBackend]) -> None:
        """Keep them."""
        self._backends = tuple(backends)

    def pick(self, client: IClient, exclude: Container[IBackend] = ()) -> IBackend | None:
        """The first one."""
        self._tell(PICK)
        return next((backend for backend in self._backends if backend not in exclude), None)

    def changed(self, backend: IBackend) -> None:
        """Here, or in another worker."""
        self._tell(CHANGE)


def _append(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode())


@frozen
class Told:
    """One line."""

    process: int
    at: int
    what: str


def read(text: str) -> list[Told]:
    """All whole lines, in order of time."""
    lines = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
    return sorted((Told(int(process), int(at), what) for process, at, what in lines), key=lambda told: told.at)


def delays(told: Iterable[Told]) -> list[float]:
    """For each pick, and each other process: ms until that process learned of a change for the first time.

    Only of picks that are far enough apart that nothing else can have been learned in between. A process that never
    picks is no worker, and does not count.
    """
    lines = list(told)
    workers = {line.process for line in lines if line.what == PICK}
    found: list[float] = []
    picked: Told | None = None
    heard: set[int] = set()
    for line in lines:
        if line.what == PICK:
            picked, heard = line, {line.process}
        elif picked is not None and line.process in workers - heard:
            heard.add(line.process)
            found.append((line.at - picked.at) / 1e6)
    return found
