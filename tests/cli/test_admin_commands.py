"""`txlb status`, `txlb events` and `txlb backend` against answers made up here; real ones are in `tests/integration/test_admin.py`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from twisted.trial.unittest import SynchronousTestCase

from tests.cli.test_simulate import CommandCase
from txlb.cli import _admin_client, status
from txlb.cli._admin_client import NoAnswer, Refused, Target, of_name, of_spec
from txlb.cli._status_table import age, render, size, word
from txlb.cli.events import told
from txlb.errors import OptionError
from txlb.specs import AdminSpec

CONFIG = """
listeners: {web: {listen: "tcp:8080:interface=127.0.0.1", pool: web}}
pools: {web: {backends: [{name: a, connect: "tcp:127.0.0.1:9001"}]}}
"""
ADMIN = 'admin: {listen: "tcp:9090:interface=127.0.0.1", token_file: token}\n'
BACKEND = {
    "connect": "tcp:127.0.0.1:9001", "weight": 1, "effective_weight": 100, "admin": "ready", "health": "up",
    "outlier": "ok", "eligible": True, "reason": "up: status 200", "open": 2, "total": 1234,
    "outcomes": {"ok": 1230, "refused": 3, "idle-timeout": 1}, "bytes_in": 999, "bytes_out": 34_567_890,
    "connect_ms": 0.42, "first_byte_ms": None,
}  # fmt: skip
STATE = {
    "version": "1.0", "uptime": 3661.5, "pid": 7, "config": "config.yaml", "ready": True, "draining": False,
    "listeners": {"web": {"engine": "epoll", "open": 2, "total": 9, "rejected": 1, "pool": "web", "listen": ["tcp:8080"]}},
    "pools": {"web": {"strategy": "random", "queued": 4, "open": 2, "panic": True, "backends": {"a": BACKEND}}},
}  # fmt: skip


class AdminCase(CommandCase):
    """Runs commands whose requests come here."""

    config = CONFIG + ADMIN

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[Any] = []
        self.answers: list[Any] = []

        def request(target: Target, method: str, path: str, body: Any = None, timeout: float = 0) -> Any:
            self.asked.append((target, method, path, body))
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        patched = patch.object(Target, "request", request)
        patched.start()
        self.addCleanup(patched.stop)

    def run_on(self, *arguments: str) -> tuple[int, str, str]:
        """A command with this configuration."""
        return self.command(*arguments, "--config", self.file)


class FindingTests(AdminCase):
    """Where the admin is, and what is said when it is not."""

    def test_by_configuration(self) -> None:
        """Its address and the file of its token; another file where one is named."""
        self.answers = [STATE, STATE]
        self.run_on("status")
        self.run_on("status", "--token-file", "other")
        listen = "tcp:9090:interface=127.0.0.1"
        self.assertEqual(self.asked[0][0], Target(listen, "127.0.0.1", 9090, False, "token"))
        self.assertEqual(self.asked[1][0].token_file, "other")

    def test_by_name(self) -> None:
        """A URL or the path of a socket; the configuration is not looked at then."""
        for name, target in {
            "http://127.0.0.1:9090": ("127.0.0.1", 9090, False),
            "http://[::1]:9090/": ("::1", 9090, False),
            "https://lb.example": ("lb.example", 443, True),
            "unix:/run/a.sock": ("/run/a.sock", 0, False),
            "/run/a.sock": ("/run/a.sock", 0, False),
        }.items():
            self.answers = [STATE]
            self.assertEqual(self.command("status", "--admin", name, "--config", "/nonexistent")[0], 0)
            found = self.asked.pop()[0]
            self.assertEqual((found.host, found.port, found.secure), target)

    def test_bad_names(self) -> None:
        """One line and exit 78."""
        for name in ("127.0.0.1:9090", "ftp://a", "http://", "http://a:x", "http://a:0", "http://a/b", "http://["):
            code, out, err = self.command("status", "--admin", name)
            self.assertEqual((code, out, err.count("\n")), (78, "", 1), err)
            self.assertIn("--admin", err)
        with self.assertRaises(OptionError):
            of_name("nonsense", None)

    def test_everywhere(self) -> None:
        """An admin that is bound to every address is asked on this machine; one whose port is not known cannot be."""
        self.assertEqual(of_spec(AdminSpec("tcp:9090")).host, "127.0.0.1")
        self.assertEqual(of_spec(AdminSpec("tcp6:9090")).host, "::1")
        for listen in ("tcp:0:interface=127.0.0.1", "systemd:domain=INET:index=0"):
            with self.assertRaises(NoAnswer):
                of_spec(AdminSpec(listen))

    def test_off(self) -> None:
        """Exit 78 where there is none, or one that cannot be found from the configuration."""
        for admin in ("", 'admin: {listen: "tcp:0:interface=127.0.0.1"}\n'):
            Path(self.file).write_text(CONFIG + admin)
            code, out, err = self.run_on("status")
            self.assertEqual((code, out, err.count("\n")), (78, "", 1), err)
            self.assertIn("admin", err)

    def test_away_and_refused(self) -> None:
        """Nobody there is 69, as is a failure inside; what the admin refuses is 78, with its own words."""
        for answer, code, words in [
            (NoAnswer("does not answer (connection refused)"), 69, "does not answer (connection refused)"),
            (Refused(404, "pool web has no backend c"), 78, "pool web has no backend c"),
            (Refused(401, "a token is needed"), 78, "a token is needed"),
            (Refused(504, ""), 69, "answers with status 504"),
        ]:
            self.answers = [answer]
            found, out, err = self.run_on("status")
            self.assertEqual((found, out, err.count("\n")), (code, "", 1))
            self.assertIn(words, err)
        self.answers = [Refused(422, "not reloaded", ("config.yaml:1:1: x",))]
        self.assertIn("config.yaml:1:1: x", self.run_on("status")[2])


class StatusTests(AdminCase):
    """`txlb status`"""

    def test_table(self) -> None:
        """What an operator asks first: is it ready, who is up, who is busy, what fails; no colours where it is piped."""
        self.answers = [STATE]
        code, out, _ = self.run_on("status")
        self.assertEqual(code, 0)
        for words in ("txlb 1.0, ready, up 1h 1m", "epoll", "in panic", "4 queued", "35M", "0.42 ms", "up: status 200"):
            self.assertIn(words, out)
        self.assertNotIn("\x1b", out)

    def test_json(self) -> None:
        """The same for programs."""
        self.answers = [STATE]
        self.assertEqual(json.loads(self.run_on("status", "--json")[1]), STATE)

    def test_hostile_words(self) -> None:
        """Neither markup nor escape sequences in names and reasons reach the terminal."""
        backend = {**BACKEND, "reason": "down: \x1b[2Jgone", "health": "down"}
        state = {**STATE, "pools": {"[red]p[/red]": {"strategy": "random", "open": 0, "backends": {"[b]x": backend}}}}
        console = Console(file=io.StringIO(), force_terminal=True, width=200, color_system=None)
        console.print(render(state))
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        self.assertNotIn("\x1b[2J", shown)
        self.assertIn("[red]p[/red]", shown)
        self.assertIn("[b]x", shown)

    def test_words(self) -> None:
        """One word for each of the three axes, the operator's first."""
        for changed, wanted in [
            ({}, "up"),
            ({"health": "unknown"}, "not checked"),
            ({"health": "down"}, "down"),
            ({"outlier": "ejected"}, "ejected"),
            ({"outlier": "ejected", "health": "down"}, "down"),
            ({"admin": "drain", "health": "down"}, "drain"),
            ({"admin": "maint"}, "maint"),
        ]:
            self.assertEqual(word({**BACKEND, **changed}), wanted)

    def test_sizes(self) -> None:
        """Three figures at most."""
        sizes = {0: "0", 999: "999", 1000: "1.0k", 34_567: "35k", 1_500_000: "1.5M", 2 * 10**15: "2000T"}
        self.assertEqual({count: size(count) for count in sizes}, sizes)

    def test_ages(self) -> None:
        """Two units, the largest that are not 0."""
        ages = {0: "0s", 59.9: "59s", 65: "1m 5s", 3600: "1h 0m", 187_000: "2d 3h"}
        self.assertEqual({seconds: age(seconds) for seconds in ages}, ages)

    def test_watch(self) -> None:
        """A new table each second; a balancer that is away is waited for."""
        self.answers = [STATE, STATE, NoAnswer("does not answer (x)"), STATE]
        self.answers.append(Refused(401, "this is not the token"))
        with patch.object(status.time, "sleep", lambda seconds: None):
            code, out, err = self.run_on("status", "--watch")
        self.assertEqual(code, 78)
        self.assertEqual(out.count("txlb 1.0"), 2)
        self.assertIn("does not answer (x)", out)
        self.assertIn("this is not the token", err)


class BackendTests(AdminCase):
    """`txlb backend`"""

    def test_requests(self) -> None:
        """What each action asks for, names escaped."""
        path = "/api/v1/pools/web/backends/"
        for arguments, asked in {
            ("web/a", "drain"): ("POST", path + "a", {"admin": "drain"}),
            ("web/a", "ready"): ("POST", path + "a", {"admin": "ready"}),
            ("web/a", "weight", "0"): ("POST", path + "a", {"weight": 0}),
            ("web/unix:/run/a b", "remove"): ("DELETE", path + "unix%3A%2Frun%2Fa%20b", None),
            ("web/c", "add", "tcp:c:1", "--weight", "3", "--backup", "--max-connections", "5"): (
                "PUT", path + "c", {"connect": "tcp:c:1", "weight": 3, "backup": True, "max_connections": 5},
            ),
            ("web/tcp:c:1", "add"): ("PUT", path + "tcp%3Ac%3A1", {"backup": False}),
        }.items():  # fmt: skip
            self.answers = [{**BACKEND, "pool": "web"} if asked[0] != "DELETE" else {"removed": True}]
            code, out, err = self.run_on("backend", *arguments)
            self.assertEqual((code, err, self.asked.pop()[1:]), (0, "", asked))
            self.assertTrue(out.startswith(arguments[0]))

    def test_wrong(self) -> None:
        """One line and exit 78, and nothing is asked."""
        for arguments in (
            ("web", "drain"),
            ("/a", "drain"),
            ("web/", "drain"),
            ("web/a", "weight"),
            ("web/a", "weight", "x"),
            ("web/a", "weight", "-1"),
            ("web/a", "drain", "now"),
            ("web/a", "drain", "--weight", "3"),
        ):
            with patch("sys.stderr", io.StringIO()):
                try:
                    code, out, err = self.run_on("backend", *arguments)
                except SystemExit as exit:  # argparse takes -1 for an option
                    self.assertEqual((arguments[-1], exit.code), ("-1", 2))
                    continue
            self.assertEqual((code, out, err.count("\n")), (78, "", 1), arguments)
        self.assertEqual(self.asked, [])


class EventsTests(AdminCase):
    """`txlb events`"""

    def follow(self, *arguments: str) -> tuple[int, str, str]:
        """The command on a stream of two events."""

        def events(target: Target, path: str) -> Iterator[tuple[str, Any]]:
            self.asked.append(path)
            yield "BackendDown", {"time": 0.5, "pool": "web", "backend": "a", "reason": "status 503 \x1b[2J"}
            yield "Panic", {"time": 1, "pool": "web", "on": True, "eligible": 0, "total": 2}
            raise NoAnswer("ended the stream of events")

        with patch.object(Target, "events", events):
            return self.run_on("events", *arguments)

    def test_lines(self) -> None:
        """A line each, without anything that a terminal obeys; at the end of the stream 69 and why."""
        self.answers = [STATE]
        code, out, err = self.follow("--connections", "--recent", "5")
        self.assertEqual((code, err.count("\n")), (69, 1))
        self.assertEqual(self.asked[-1], "/api/v1/events?state=no&recent=5&connections=yes")
        first, second = out.splitlines()
        self.assertTrue(first.endswith('BackendDown web/a reason="status 503 \\u001b[2J"'), first)
        self.assertTrue(second.endswith("Panic web on=true eligible=0 total=2"), second)

    def test_connections_of_workers(self) -> None:
        """Who asks for connections where several workers have them is told where they are."""
        self.answers = [STATE | {"workers": []}]
        self.assertIn("the access log has them", self.follow("--connections")[2])

    def test_json(self) -> None:
        """An object a line."""
        self.assertEqual(
            [json.loads(line)["event"] for line in self.follow("--json")[1].splitlines()], ["BackendDown", "Panic"]
        )

    def test_nothing_to_tell(self) -> None:
        """An event without a time or a place is still a line."""
        self.assertEqual(told("New", {}), "- New")


class DecodingTests(SynchronousTestCase):
    """What comes back."""

    def test_events(self) -> None:
        """Fields to events; comments, ids and retries are passed over."""
        lines = [b"retry: 1\n", b"\n", b":\n", b"\n", b"id: 1\n", b"event: X\n", b'data: {"a": 1}\n', b"\n"]
        self.assertEqual(list(_admin_client._events(iter(lines))), [("X", {"a": 1})])
        with self.assertRaises(NoAnswer):
            list(_admin_client._events(iter([b"event: X\n", b"data: {\n", b"\n"])))

    def test_refused(self) -> None:
        """The admin's reason where it gives one, one line of bearable length."""
        for body, wanted in {
            b'{"error": "no\\n\\u001b[2J"}': "answers with status 404: no\\n\\x1b[2J",
            b"<html>": "answers with status 404",
            b"[]": "answers with status 404",
        }.items():
            with self.assertRaises(Refused) as caught:
                _admin_client._decoded(404, body)
            self.assertEqual(str(caught.exception), wanted)
