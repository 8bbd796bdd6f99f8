"""The `txlb` command itself: which commands there are, exit codes, and what the user sees when something goes wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import StringIO
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txlb import __version__, cli
from txlb.errors import BrokenPlugin, ConfigError, OptionError, Problem, UnknownPlugin


class MainTests(SynchronousTestCase):
    """`main` with a command of the test's own beside the real ones."""

    def setUp(self) -> None:
        self.stdout, self.stderr = StringIO(), StringIO()
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)

    def command(self, run: Callable[[Any], int], name: str = "probe") -> None:
        """Make `txlb NAME [--level N]` a command."""
        module = ModuleType(f"txlb.cli.{name}")
        module.HELP = "a command of the test"  # type: ignore[attr-defined]
        module.configure = lambda parser: parser.add_argument("--level", type=int)  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        self.patch(cli, "COMMANDS", (*cli.COMMANDS, name))
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__, None)

    def raising(self, error: BaseException) -> int:
        """The exit code of a command that raises this."""

        def run(options: Any) -> int:
            raise error

        self.command(run)
        return cli.main(["probe"])

    def test_runs_the_command(self) -> None:
        """It gets its parsed options, and its exit code is the program's."""
        seen = []
        self.command(lambda options: seen.append(options.level) or 3)
        self.assertEqual(cli.main(["probe", "--level", "7"]), 3)
        self.assertEqual(seen, [7])

    def test_imports_no_other_command(self) -> None:
        """One command must not wait for what the others need."""
        imported = []
        module = sys.modules[cli.__name__]
        real = cli.import_module
        self.patch(module, "import_module", lambda name: imported.append(name) or real(name))
        self.command(lambda options: 0)
        cli.main(["probe"])
        self.assertEqual(imported, ["txlb.cli.probe"])

    def test_version(self) -> None:
        """`txlb --version` says the package's."""
        stopped = self.assertRaises(SystemExit, cli.main, ["--version"])
        self.assertEqual((stopped.code, self.stdout.getvalue()), (0, f"txlb {__version__}\n"))

    def test_help_lists_every_command(self) -> None:
        """Each real command is there with its line of help, which shows that all of them import."""
        self.assertRaises(SystemExit, cli.main, ["--help"])
        for name in cli.COMMANDS:
            self.assertRegex(self.stdout.getvalue(), rf"\n +{name}\s+\S")

    def test_knows_its_commands(self) -> None:
        """A command is a module of the package; helpers begin with an underscore and are none."""
        self.assertIn("check", cli.COMMANDS)
        self.assertIn("strategies", cli.COMMANDS)
        self.assertEqual([name for name in cli.COMMANDS if name.startswith("_")], [])

    def test_unknown_command(self) -> None:
        """The error names those that exist."""
        stopped = self.assertRaises(SystemExit, cli.main, ["chekc"])
        self.assertEqual(stopped.code, 2)
        self.assertIn("chekc", self.stderr.getvalue())
        self.assertIn("check", self.stderr.getvalue().replace("chekc", ""))

    def test_bad_configuration(self) -> None:
        """One line a problem, nothing before it, and 78."""
        problems = [Problem("c.yaml", 1, 2, "a", "is wrong"), Problem("c.yaml", 3, 4, "b", "too")]
        self.assertEqual(self.raising(ConfigError(problems)), 78)
        self.assertEqual(self.stderr.getvalue(), "c.yaml:1:2: a: is wrong\nc.yaml:3:4: b: too\n")

    def test_wrong_words_of_the_user(self) -> None:
        """A strategy or an option that does not exist is the configuration's fault too."""
        self.assertEqual(self.raising(UnknownPlugin("unknown strategy 'x'")), 78)
        self.assertEqual(self.raising(OptionError("seed", "must be text")), 78)
        self.assertEqual(self.stderr.getvalue(), "txlb: unknown strategy 'x'\ntxlb: seed: must be text\n")

    def test_other_failures(self) -> None:
        """What is nobody's configuration is 70, in one line."""
        self.assertEqual(self.raising(BrokenPlugin("acme cannot be loaded")), 70)
        self.assertEqual(self.stderr.getvalue(), "txlb: acme cannot be loaded\n")

    def test_interrupted(self) -> None:
        """Ctrl-C is 130 and says nothing."""
        self.assertEqual(self.raising(KeyboardInterrupt()), 130)
        self.assertEqual(self.stderr.getvalue(), "")

    def test_a_reader_that_has_gone(self) -> None:
        """`txlb … | head` ends quietly, also when the pipe breaks at the last flush only."""
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as pipe:
            self.patch(sys, "stdout", pipe)
            self.command(lambda options: print("x" * 10) or 0)
            self.assertEqual(cli.main(["probe"]), 141)
        self.assertEqual(self.stderr.getvalue(), "")
