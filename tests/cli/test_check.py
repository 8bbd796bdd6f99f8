"""`txlb check`: exit codes, and what is printed where."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import txlb
from txlb.cli import main
from txlb.cli.check import summary
from txlb.errors import BAD_CONFIG
from txlb.specs import BackendSpec, Config, ListenerSpec, PoolSpec

_GOOD = """\
listeners:
  web: {listen: tcp:0, pool: p}
pools:
  p: {backends: [tcp:127.0.0.1:9001]}
  spare: {backends: [tcp:127.0.0.1:9001]}
"""


class Check(SynchronousTestCase):
    """The command, with files good and bad."""

    def setUp(self) -> None:
        """A file of its own, and the output caught."""
        self.file = Path(self.mktemp())
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)

    def check(self, text: str) -> int:
        """The exit code for a file of this text."""
        self.file.write_text(text)
        return main(["check", str(self.file)])

    def test_good(self) -> None:
        """One line on standard output and 0; warnings on standard error."""
        self.assertEqual(self.check(_GOOD), 0)
        self.assertEqual(self.out.getvalue(), f"{self.file}: ok: 1 listener, 2 pools, 2 backends\n")
        self.assertEqual(self.err.getvalue(), f"{self.file}:5:3: pools.spare: no listener uses this pool (warning)\n")

    def test_bad(self) -> None:
        """One line for each problem on standard error, and 78."""
        self.assertEqual(self.check("workers: 0\n" + _GOOD + "  x: 1\n"), BAD_CONFIG)
        self.assertEqual(self.out.getvalue(), "")
        self.assertEqual(
            self.err.getvalue().splitlines(),
            [
                f"{self.file}:1:1: workers: must be auto or 1 or more, not 0",
                f"{self.file}:7:3: pools.x: must be a mapping, not 1",
            ],
        )

    def test_what_only_twisted_knows(self) -> None:
        """Endpoint types are checked with Twisted."""
        self.assertEqual(self.check(_GOOD.replace("tcp:0", "tpc:0")), BAD_CONFIG)
        self.assertEqual(
            self.err.getvalue(),
            f"{self.file}:2:9: listeners.web.listen: Twisted cannot use 'tpc:0': Unknown endpoint type: 'tpc'\n",
        )

    def test_not_there(self) -> None:
        """A missing file is one line and 78."""
        self.assertEqual(main(["check", str(self.file)]), BAD_CONFIG)
        self.assertEqual(self.err.getvalue(), f"{self.file}: cannot be read: No such file or directory\n")

    def test_the_file_at_the_root(self) -> None:
        """The project's own config.yaml is good with the plugins that are installed."""
        file = Path(txlb.__file__).parents[1] / "config.yaml"
        self.assertEqual(main(["check", str(file)]), 0)
        self.assertEqual(self.out.getvalue(), f"{file}: ok: 1 listener, 1 pool, 3 backends\n")
        self.assertEqual(self.err.getvalue(), "")

    def test_summary(self) -> None:
        """Counts agree with their nouns."""
        pool = PoolSpec("p", (BackendSpec("b", "tcp:b:1"),))
        listener = ListenerSpec("w", ("tcp:1",), "p")
        self.assertEqual(summary(Config({"w": listener}, {"p": pool})), "1 listener, 1 pool, 1 backend")
        self.assertEqual(
            summary(Config({"v": listener, "w": listener}, {"p": pool, "q": pool})),
            "2 listeners, 2 pools, 2 backends",
        )
