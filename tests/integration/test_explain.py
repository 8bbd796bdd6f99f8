"""`txlb explain` against an admin that answers over real sockets: what it is asked, and what comes of its answers."""

from __future__ import annotations

import json
import os
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from txlb.cli import main

CONFIG = """
listeners: {{web: {{listen: "tcp:8080:interface=127.0.0.1", pool: "web & more"}}}}
pools:
  "web & more": {{backends: [{{name: a, connect: "tcp:127.0.0.1:9001"}}]}}
admin: {{listen: "{listen}"{more}}}
"""
ANSWER = {
    "pool": "web & more",
    "strategy": "least-connections",
    "panic": False,
    "pick": "b",
    "why": "3 connections",
    "backends": {
        "a": {"eligible": False, "reason": "connection refused", "weight": 100, "active": 0, "score": None, "why": ""},
        "b": {"eligible": True, "reason": "", "weight": 100, "active": 3, "score": 3.0, "why": "3 connections"},
    },
}


class Admin(Resource):
    """Answers what the test wants, and remembers what it was asked."""

    isLeaf = True

    def __init__(self, answer: bytes, status: int = 200) -> None:
        super().__init__()
        self.answer, self.status = answer, status
        self.asked: list[tuple[bytes, str | None]] = []

    def render_GET(self, request: Any) -> bytes:
        self.asked.append((request.uri, request.getHeader("authorization")))
        request.setResponseCode(self.status)
        return self.answer


class ExplainLiveTests(TestCase):
    """The command runs in a thread, the admin in the reactor."""

    timeout = 20

    async def explain(
        self, admin: Admin, listen: str = "tcp:0:interface=127.0.0.1", more: str = "", *arguments: str
    ) -> Any:
        """What the command prints and says beside, asked of this admin."""
        port = await serverFromString(reactor, listen).listen(Site(admin))
        self.addCleanup(port.stopListening)
        if listen.startswith("tcp"):
            listen = f"tcp:{port.getHost().port}:interface=127.0.0.1"
        file = self.mktemp()
        Path(file).write_text(CONFIG.format(listen=listen, more=more), encoding="utf-8")
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = await deferToThread(main, ["explain", file, "--client", "192.0.2.7", *arguments])
        self.assertEqual(code, 0)
        return out.getvalue(), err.getvalue()

    async def test_live(self) -> None:
        """The live balancer's answer is shown, with the pool's name and the client escaped in the request."""
        admin = Admin(json.dumps(ANSWER).encode())
        out, err = await self.explain(admin)
        self.assertEqual(admin.asked, [(b"/api/v1/pools/web%20%26%20more/explain?client=192.0.2.7", None)])
        for words in ("192.0.2.7 → b", "from the live balancer", "connection refused", "3 connections"):
            self.assertIn(words, out)
        self.assertEqual(err, "")

    async def test_unix_socket_and_token(self) -> None:
        """An admin on a UNIX socket is reached too, and gets the token of its own configuration."""
        token = self.mktemp()
        Path(token).write_text("secret\n")
        admin = Admin(json.dumps(ANSWER).encode())
        out, _ = await self.explain(
            admin, f"unix:/tmp/txlb-explain-{os.getpid()}.sock", f", token_file: {token}", "--json"
        )
        self.assertEqual(json.loads(out)["source"], "live")
        self.assertEqual(admin.asked[0][1], "Bearer secret")

    async def test_unusable_answers(self) -> None:
        """An error, nonsense and something else than an explanation are said, and the configuration is used."""
        for answer, status, words in [
            (b"no", 503, "answers with status 503"),
            (b"<html>", 200, "does not answer in JSON"),
            (b"[]", 200, "does not answer with an object"),
            (b'{"backends": {"a": 1}}', 200, "something else than an explanation"),
            (b"{}", 200, "something else than an explanation"),
        ]:
            out, err = await self.explain(Admin(answer, status))
            self.assertIn(f"{words}; told from the configuration", err)
            self.assertIn("192.0.2.7 → a", out)
