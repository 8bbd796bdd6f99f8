"""Real programs for tests: find one or skip, start it with a folder and a port of its own, wait until it listens, and
stop it again. Nothing here sleeps for a fixed time: every wait is for a condition, and bounded.

    port = programs.free_port()
    programs.start(self, [programs.find("redis-server"), "--port", str(port)], ports=[port])
    balancer = programs.start_balancer(self, CONFIG.format(listen=..., backend=port))

What is started ends with the test, also when it fails; the tail of its output is in the error.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from unittest import SkipTest

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: the folder that holds `tests`, `txlb` and `twisted`."""

_SYSTEM = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_LISTEN = "0A"  # the state's number in /proc/net/tcp


def find(*names: str) -> str:
    """The path of the first of these programs that is installed; skips the test where none is."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise SkipTest(f"{' or '.join(names)} is not installed")


_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, another one at each call."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in _given:
            _given.add(port)
            return port


def folder(case: SynchronousTestCase) -> Path:
    """A new folder that lives as long as the test. Its path is short enough for a UNIX socket's, and anybody may enter
    it, for servers that drop their rights."""
    path = Path(tempfile.mkdtemp(prefix="txlb-"))
    path.chmod(0o755)
    case.addCleanup(shutil.rmtree, path, ignore_errors=True)
    return path


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; raises TimeoutError, which says `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.01)


def listening(port: int) -> bool:
    """Whether somebody listens on this TCP port: asked of the kernel, so that no server sees a connection of ours."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue
        columns = (row.split() for row in rows)
        if any(row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port for row in columns):
            return True
    return False


@define
class Program:
    """A process that a test started, in a session of its own so that its children end with it."""

    process: subprocess.Popen[bytes]
    log: Path
    name: str = field(default="")

    @property
    def pid(self) -> int:
        """The process's number."""
        return self.process.pid

    def output(self) -> str:
        """What it has written so far, to standard output and standard error."""
        return self.log.read_text(errors="replace")

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        """Its exit code once it has ended by itself: negative for a signal that killed it."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} has not ended after {seconds:g} s:\n{self.output()[-4000:]}") from None

    def stop(self, seconds: float = 10.0) -> None:
        """End it and its children: politely first."""
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_for_output(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """The first match of this pattern in its output, as soon as there is one."""
        self._wait(lambda: re.search(pattern, self.output()) is not None, f"{pattern!r} from {self.name}", seconds)
        found = re.search(pattern, self.output())
        assert found is not None
        return found

    def wait_for_ports(self, ports: Iterable[int], seconds: float = 20.0) -> None:
        """Return as soon as all of these ports are listened on."""
        for port in ports:
            self._wait(lambda port=port: listening(port), f"{self.name} to listen on port {port}", seconds)

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        try:
            wait_until(lambda: condition() or not self.alive(), what, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.output()[-4000:]}") from None
        if not condition():
            raise ChildProcessError(f"{self.name} ended with {self.process.returncode}:\n{self.output()[-4000:]}")


def start(
    case: SynchronousTestCase,
    command: Sequence[str],
    ports: Iterable[int] = (),
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Program:
    """Start a program that ends with the test, and wait until it listens on `ports`."""
    place = folder(case)
    log = place / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd or place,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    program = Program(process, log, Path(command[0]).name)
    case.addCleanup(program.stop)
    program.wait_for_ports(ports)
    return program


def twist(case: SynchronousTestCase, *arguments: str, ports: Iterable[int] = (), cwd: Path | None = None) -> Program:
    """Start `twist` from this checkout, with text logs."""
    return start(case, twist_command(*arguments), ports, cwd, {"PYTHONPATH": str(ROOT)})


def twist_command(*arguments: str) -> list[str]:
    """The command line of `twist` in the running Python."""
    return [sys.executable, "-m", "twisted", "--log-format=text", *arguments]


def start_balancer(case: SynchronousTestCase, config: str) -> Program:
    """Start `twist txlb` with this configuration, and wait until it listens on every TCP port that the text says
    `listen:` for."""
    place = folder(case)
    file = place / "config.yaml"
    file.write_text(config)
    ports = [int(port) for port in re.findall(r"listen:.*?\btcp6?:(\d+)", config)]
    return twist(case, "txlb", "--config", str(file), ports=ports, cwd=place)


def run(
    command: Sequence[str], seconds: float = 60.0, check: bool = True, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it wrote; an exit code other than 0 raises with that, unless allowed."""
    done = subprocess.run(
        list(command),
        stdin=None if "input" in options else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    if check and done.returncode:
        raise ChildProcessError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"[-4000:]
        )
    return done
