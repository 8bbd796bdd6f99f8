"""The validators that ask Twisted and the file system."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txlb import checks
from txlb.checks import load_checked, load_in_turns
from txlb.errors import ConfigError

_LISTENERS = "listeners: {w: {listen: tcp:8080, pool: p}}\n"
_POOLS = "pools: {p: {backends: ['tcp:127.0.0.1:9001']}}\n"


class Checked(SynchronousTestCase):
    """`load_checked` with a reactor in memory."""

    def setUp(self) -> None:
        """A folder of its own."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.reactor = MemoryReactorClock()

    def problems(self, text: str) -> list[str]:
        """What is wrong, without the file's name."""
        file = self.folder / "c.yaml"
        file.write_text(text)
        try:
            load_checked(str(file), self.reactor)
        except ConfigError as error:
            return [line.removeprefix(f"{file}:") for line in str(error).splitlines()]
        return []

    def test_binds_nothing(self) -> None:
        """Checking makes endpoints and uses none."""
        self.assertEqual(self.problems(_LISTENERS + _POOLS + "echo: tcp:9001\n"), [])
        self.assertEqual((self.reactor.tcpServers, self.reactor.tcpClients), ([], []))

    def test_endpoints(self) -> None:
        """What Twisted cannot use is told at the string's own place, in every section that has one."""
        text = (
            "listeners:\n  w: {listen: [tcp:8080, no:1], pool: p}\n"
            "pools:\n  p:\n    backends:\n    - no:2\n    - {connect: no:3, name: b}\n"
            "    - {connect: tcp:a:1, check_connect: no:4}\n    health: {connect: no:5}\n"
            "admin: {listen: no:6, token_file: /dev/null}\necho: [no:7]\n"
        )
        found = [line for line in self.problems(text) if "no:" in line]
        what = "Twisted cannot use '{}': Unknown endpoint type: '{}'"
        self.assertEqual(
            found,
            [
                "2:26: listeners.w.listen[1]: " + what.format("no:1", "no"),
                "6:7: pools.p.backends[0]: " + what.format("no:2", "no"),
                "7:8: pools.p.backends[1].connect: " + what.format("no:3", "no"),
                "8:26: pools.p.backends[2].check_connect: " + what.format("no:4", "no"),
                "9:14: pools.p.health.connect: " + what.format("no:5", "no"),
                "10:9: admin.listen: " + what.format("no:6", "no"),
                "11:8: echo[0]: " + what.format("no:7", "no"),
            ],
        )

    def test_certificates(self) -> None:
        """A key file that is not there is told before anything starts."""
        found = self.problems("listeners: {w: {listen: 'ssl:443:privateKey=/nowhere.pem', pool: p}}\n" + _POOLS)
        self.assertEqual(len(found), 1)
        self.assertIn("1:17: listeners.w.listen: Twisted cannot use 'ssl:443:privateKey=/nowhere.pem': ", found[0])
        self.assertIn("No such file or directory", found[0])

    def admin(self, token: Path) -> list[str]:
        """What is wrong with an admin of this token file."""
        return self.problems(_LISTENERS + _POOLS + f"admin: {{listen: tcp:9090, token_file: {token}}}\n")

    def test_token_file(self) -> None:
        """The token file must be there, be a file, and hold a token."""
        place = "3:27: admin.token_file: "
        token = self.folder / "token"
        self.assertEqual(self.admin(token), [f"{place}{token} cannot be read: No such file or directory"])
        token.write_text(" \n")
        self.assertEqual(self.admin(token), [f"{place}{token} holds no token"])
        token.write_text("secret\n")
        self.assertEqual(self.admin(token), [])
        self.assertEqual(self.admin(self.folder), [f"{place}{self.folder} is not an ordinary file"])

    def log(self, file: Path) -> list[str]:
        """What is wrong with an access log of this file."""
        return self.problems(_LISTENERS + _POOLS + f"access_log: {{file: {file}}}\n")

    def test_access_log(self) -> None:
        """The log's folder must be there and be writable, or the log itself where there is one."""
        place = "3:14: access_log.file: "
        self.assertEqual(self.log(self.folder / "log"), [])
        self.assertEqual(self.log(self.folder), [f"{place}{self.folder} is a directory"])
        nowhere = self.folder / "no" / "log"
        self.assertEqual(self.log(nowhere), [f"{place}there is no folder {nowhere.parent}"])

    def test_access_log_not_writable(self) -> None:
        """A log or a folder that may not be written; simulated, because root may write all."""
        self.patch(os, "access", lambda *args: False)
        place = "3:14: access_log.file: "
        log = self.folder / "log"
        self.assertEqual(self.log(log), [f"{place}no file can be made in the folder {self.folder}"])
        log.touch()
        self.assertEqual(self.log(log), [f"{place}{log} cannot be written"])

    def test_more_connections_than_there_can_be(self) -> None:
        """A maximum that the open-file limit does not allow is a warning; several workers may have as many each."""
        self.patch(checks, "descriptor_limit", lambda: 1024)
        file = self.folder / "c.yaml"
        for workers, most, warned in ((1, 480, False), (1, 481, True), (2, 481, False), (2, 961, True)):
            listener = f"listeners: {{w: {{listen: tcp:8080, pool: p, max_connections: {most}}}}}\n"
            file.write_text(f"workers: {workers}\n{listener}{_POOLS}")
            has = f"{480 * workers}"
            expected = (
                f"{file}:2:44: listeners.w.max_connections: more than there can be; "
                f"the open-file limit of 1,024 allows {has}"
            )
            self.assertEqual(load_checked(str(file), self.reactor).warnings, (expected,) if warned else ())

    def test_access_log_format(self) -> None:
        """A format that names no field, or one that there is none of, is told with those that there are."""
        wrong = self.problems(_LISTENERS + _POOLS + "access_log: {format: '{clinet} {outcome}'}\n")
        self.assertEqual(len(wrong), 1)
        self.assertIn("3:14: access_log.format: there is no field 'clinet'; there are time, client,", wrong[0])
        self.assertIn("names no field", self.problems(_LISTENERS + _POOLS + "access_log: {format: jsn}\n")[0])
        self.assertEqual(self.problems(_LISTENERS + _POOLS + "access_log: {format: '{client} {duration_ms}'}\n"), [])


class BackgroundReactor(MemoryReactorClock):
    """One whose thread does its work when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[tuple[Callable[[bool, Any], None], Callable[[], Any]]] = []
        self.turns = 0

    def callLater(self, *args: Any, **kwargs: Any) -> Any:
        self.turns += 1
        return super().callLater(*args, **kwargs)

    def getThreadPool(self) -> BackgroundReactor:
        return self

    def callInThreadWithCallback(self, told: Any, work: Any) -> None:
        self.work.append((told, work))

    def callFromThread(self, call: Any, *args: Any) -> None:
        call(*args)

    def run_thread(self) -> None:
        """Do, in a thread, what was left to one."""
        told, work = self.work.pop()
        done: list[tuple[bool, Any]] = []

        def run() -> None:
            try:
                done.append((True, work()))
            except Exception:
                done.append((False, Failure()))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        told(*done[0])


class InTurns(SynchronousTestCase):
    """`load_in_turns`"""

    def setUp(self) -> None:
        """A file of its own."""
        self.file = Path(self.mktemp())
        self.reactor = BackgroundReactor()

    def load(self, text: str) -> Any:
        """The Deferred, when the thread has done its part."""
        self.file.write_text(text)
        loading = load_in_turns(str(self.file), self.reactor, self.reactor)
        self.assertNoResult(loading)
        self.reactor.run_thread()
        return loading

    def test_as_at_once(self) -> None:
        """It comes to the same configuration, and to the same problems: of the file's syntax, its words, its plugins, and
        of what Twisted says."""
        text = _LISTENERS + _POOLS
        config = self.successResultOf(self.load(text))
        self.assertEqual(config, load_checked(str(self.file), self.reactor))
        for bad in ("{", "pools: 1\n", text.replace("backends", "strategy: nobodys, backends"), text + "echo: no:1\n"):
            failure = self.failureResultOf(self.load(bad), ConfigError)
            now = self.assertRaises(ConfigError, load_checked, str(self.file), self.reactor)
            self.assertEqual(failure.getErrorMessage(), str(now))

    def test_leaves_turns(self) -> None:
        """Asking Twisted about many endpoints lets the reactor do other things meanwhile; plugins and Twisted are asked in
        the reactor's thread."""
        threads = set()

        def build(reactor: Any, description: str) -> None:
            threads.add(threading.current_thread())
            self.reactor.rightNow += 0.001

        self.patch(checks, "clientFromString", build)
        backends = ", ".join(f"'tcp:192.0.2.1:{port}'" for port in range(1, 101))
        loading = self.load(_LISTENERS + f"pools: {{p: {{backends: [{backends}]}}}}\n")
        self.reactor.advance(0)
        self.assertGreater(self.reactor.turns, 30)
        self.assertEqual(len(self.successResultOf(loading).pools["p"].backends), 100)
        self.assertEqual(threads, {threading.current_thread()})
