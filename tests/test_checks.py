"""The validators that ask Twisted and the file system."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from txlb.checks import load_checked
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

    def test_access_log_format(self) -> None:
        """A format that names no field, or one that there is none of, is told with those that there are."""
        wrong = self.problems(_LISTENERS + _POOLS + "access_log: {format: '{clinet} {outcome}'}\n")
        self.assertEqual(len(wrong), 1)
        self.assertIn("3:14: access_log.format: there is no field 'clinet'; there are time, client,", wrong[0])
        self.assertIn("names no field", self.problems(_LISTENERS + _POOLS + "access_log: {format: jsn}\n")[0])
        self.assertEqual(self.problems(_LISTENERS + _POOLS + "access_log: {format: '{client} {duration_ms}'}\n"), [])
