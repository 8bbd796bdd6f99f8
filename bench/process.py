"""Processes that are started, watched and surely ended.

Each runs on the processor it is given and dies with the bench, however the bench ends (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from attrs import define, field

_LIBC = ctypes.CDLL(None)
_PDEATHSIG = 1
ROOT = Path(__file__).parent.parent


class BenchError(Exception):
    """A run gave no figure; the text says why."""


@define
class Process:
    """One program, pinned to `cpu`, or on all that the bench may use. As a context manager it ends on the way out."""

    command: Sequence[str | Path]
    cpu: int | None
    log: Path
    stdin: int = subprocess.DEVNULL
    stdout: int | None = None
    environment: Sequence[tuple[str, str]] = ()
    popen: subprocess.Popen[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, before if self.cpu is None else {self.cpu})
        try:
            with self.log.open("ab") as log:
                self.popen = subprocess.Popen(
                    [str(part) for part in self.command],
                    stdin=self.stdin,
                    stdout=log if self.stdout is None else self.stdout,
                    stderr=log,
                    cwd=ROOT,
                    env={**os.environ, **dict(self.environment)},
                    text=True,
                    start_new_session=True,
                    preexec_fn=_begin,
                )
        finally:
            os.sched_setaffinity(0, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self, patience: float = 3.0) -> int:
        """Ask it to end, then make it; its children too. Returns its exit code."""
        if self.popen.poll() is None:
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                pipe.close()
        return self.popen.wait()

    def alive(self) -> None:
        """Raise BenchError with the end of its log when it has ended."""
        if self.popen.poll() is not None:
            tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise BenchError(f"{Path(self.command[0]).name} ended with {self.popen.returncode}: {' / '.join(tail)}")

    def cpu_seconds(self) -> float:
        """Processor time so far of the process, its threads and its children, in seconds (the scheduler's own count)."""
        return sum(_scheduled(pid) for pid in family(self.popen.pid)) / 1e9

    def memory(self) -> tuple[int, int]:
        """(resident, peak resident) in KiB, of the process and its children."""
        sizes = [_memory(pid) for pid in family(self.popen.pid)]
        return sum(size[0] for size in sizes), sum(size[1] for size in sizes)


def family(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def wait_for(ready: Callable[[], Any], seconds: float, what: str, pause: float = 0.02) -> Any:
    """Ask `ready` until it gives something true, and return that; BenchError after `seconds`."""
    limit = time.monotonic() + seconds
    while not (answer := ready()):
        if time.monotonic() > limit:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return answer


def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts a connection there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_port() -> int:
    """A port on 127.0.0.1 that the system says is free, for programs that cannot be given port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read_line(pipe: IO[str] | None, process: Process) -> str:
    """The next line that the process prints; BenchError when it ends instead."""
    assert pipe is not None
    line = pipe.readline()
    if not line:
        process.popen.wait()
        process.alive()
    return line.strip()


def end_by_exception() -> None:
    """Let SIGTERM and SIGHUP unwind like Ctrl-C does, so that everything started is ended."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, frame: sys.exit(128 + got))


def _begin() -> None:
    """In the new process: die with the parent, and be preferred as it is.

    A new session is a scheduling group of its own where the kernel makes such, and its niceness starts at 0.
    """
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if nice < 0:
        with suppress(OSError), open("/proc/self/autogroup", "w") as group:
            group.write(str(nice))


def _scheduled(pid: int) -> int:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*"))


def _memory(pid: int) -> tuple[int, int]:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]), int(fields["VmHWM"].split()[0])
