"""Tests for `txlb explain` from a configuration; the live balancer is asked in `tests/integration/test_explain.py`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_simulate import CommandCase

CONFIG = """
listeners:
  web: {listen: "tcp:8080:interface=127.0.0.1", pool: web}
pools:
  web:
    backends:
      - {name: a, connect: "tcp:127.0.0.1:9001", weight: 2}
      - {name: b, connect: "tcp:127.0.0.1:9002"}
      - {name: out, connect: "tcp:127.0.0.1:9003", weight: 0}
      - {name: spare, connect: "tcp:127.0.0.1:9004", backup: true}
"""


class ExplainTests(CommandCase):
    """From the configuration alone."""

    config = CONFIG

    def test_pick_and_reasons(self) -> None:
        """The pick, and for each backend whether it is eligible, its score, or why it has none."""
        code, out, err = self.command("explain", self.file, "--client", "192.0.2.7")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("192.0.2.7 → a", out)
        self.assertIn("all idle, nothing probed", out)
        lines = {line.split()[0].strip("→") or line.split()[1]: line for line in out.splitlines() if line.strip()}
        self.assertIn("weight 0", lines["out"])
        self.assertIn("a backup, used while no other is eligible", lines["spare"])

    def test_next(self) -> None:
        """Where the next connections go is one line."""
        out = self.command("explain", self.file, "--client", "192.0.2.7", "-n", "4")[1]
        self.assertEqual(out.splitlines()[-1], "next: a b a a")

    def test_json(self) -> None:
        """The same for programs."""
        code, out, _ = self.command("explain", self.file, "--client", "192.0.2.7", "--json", "-n", "4")
        found = json.loads(out)
        self.assertEqual((code, found["pick"], found["source"]), (0, "a", "configuration"))
        self.assertEqual(found["next"], ["a", "b", "a", "a"])

    def test_hash_is_the_same_everywhere(self) -> None:
        """With a hashing strategy all of a client's connections go to the one that is explained."""
        Path(self.file).write_text(CONFIG.replace("  web:\n    backends", "  web:\n    strategy: maglev\n    backends"))
        found = json.loads(self.command("explain", self.file, "--client", "2001:db8::7", "--json", "-n", "5")[1])
        self.assertEqual(set(found["next"]), {found["pick"]})

    def test_every_backend_full(self) -> None:
        """When all are at their maximum there is no pick."""
        limited = CONFIG.replace("weight: 2", "weight: 2, max_connections: 1").replace(
            '9002"', '9002", max_connections: 1'
        )
        Path(self.file).write_text(limited)
        found = json.loads(self.command("explain", self.file, "--client", "192.0.2.7", "--json", "-n", "3")[1])
        self.assertEqual(found["next"][:3], ["a", "b", None])

    def test_bad_input(self) -> None:
        """One line and exit 78."""
        for words, arguments in {
            "--client: must be an IP address": ("--client", "example.org"),
            "-n: must be from 1": ("--client", "192.0.2.7", "-n", "0"),
            "there is no pool 'x'": ("--client", "192.0.2.7", "--pool", "x"),
        }.items():
            code, out, err = self.command("explain", self.file, *arguments)
            self.assertEqual((code, out, err.count("\n")), (78, "", 1), err)
            self.assertIn(words, err)

    def test_admin_away(self) -> None:
        """Where the admin does not answer it is said, and the configuration is used."""
        Path(self.file).write_text(CONFIG + "admin: {listen: 'unix:/nonexistent/txlb-admin.sock'}\n")
        code, out, err = self.command("explain", self.file, "--client", "192.0.2.7")
        self.assertEqual(code, 0)
        self.assertIn("does not answer (no such file or directory); told from the configuration", err)
        self.assertIn("192.0.2.7 → a", out)
        self.assertEqual(self.command("explain", self.file, "--client", "192.0.2.7", "--offline")[2], "")
