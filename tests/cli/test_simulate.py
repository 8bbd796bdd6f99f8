"""Tests for `txlb simulate`: from a file to a table, JSON and a picture; and what is told of bad input."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from txlb.cli import main

CONFIG = """
listeners:
  web: {listen: "tcp:8080:interface=127.0.0.1", pool: web}
pools:
  web:
    strategy: [maglev, least-connections]
    backends:
      - {name: a, connect: "tcp:127.0.0.1:9001", weight: 2}
      - {name: b, connect: "tcp:127.0.0.1:9002"}
"""
TWO_POOLS = (
    CONFIG
    + """
  api:
    backends: [{name: z, connect: "tcp:127.0.0.1:9003", weight: 0}]
"""
)


class CommandCase(SynchronousTestCase):
    """Runs the command line in this process."""

    config = CONFIG

    def setUp(self) -> None:
        self.file = self.mktemp()
        Path(self.file).write_text(self.config, encoding="utf-8")

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """The exit code, what was printed, and what was said beside."""
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
        return code, out.getvalue(), err.getvalue()


class SimulateTests(CommandCase):
    """The whole command."""

    def simulate(self, *arguments: str) -> str:
        """What it prints when all is well; nothing is said beside."""
        code, out, err = self.command("simulate", self.file, "-n", "2000", *arguments)
        self.assertEqual((code, err), (0, ""))
        return out

    def refuses(self, words: str, *arguments: str) -> None:
        """Exit 78 and one line with these words, and nothing printed."""
        code, out, err = self.command("simulate", self.file, *arguments)
        self.assertEqual((code, out, err.count("\n")), (78, "", 1), err)
        self.assertIn(words, err)

    def test_own_strategy(self) -> None:
        """Without a strategy the pool's own chain is tried."""
        self.assertIn("maglev+least-connections", self.simulate())

    def test_compared(self) -> None:
        """Several strategies, also with options or as a chain, come in the order asked for."""
        arguments = (
            "--strategy",
            "round-robin",
            "--strategy",
            "{name: maglev, bound: 125}",
            "--strategy",
            "[maglev, random]",
        )
        found = json.loads(self.simulate("--json", *arguments))["results"]
        self.assertEqual(
            [result["strategy"] for result in found], ["round-robin", "maglev, bound: 125", "maglev, random"]
        )
        shares = {backend["name"]: backend["share"] for backend in found[0]["backends"]}
        self.assertApproximates(shares["a"], 2 / 3, 0.001)

    def test_same_seed(self) -> None:
        """The same seed prints the same bytes, and draws the same picture."""
        pictures = [self.mktemp() for _ in range(2)]
        texts = [self.simulate("--seed", "x", "--plot", picture) for picture in pictures]
        self.assertEqual(*texts)
        self.assertEqual(*(Path(picture).read_bytes() for picture in pictures))
        ElementTree.parse(pictures[0])

    def test_world(self) -> None:
        """Everything that can be said about the world is taken in."""
        out = self.simulate(
            "--pattern", "bursts:20", "--load", "0.5", "--clients", "50", "--skew", "1", "--service", "lognormal:10ms",
            "--service", "b=slow:3", "--service", "b=failing:0.1", "--concurrency", "2", "--balancers", "3",
            "--leave", "b@1s", "--join", "c@2s",
        )  # fmt: skip
        for words in ("3 balancers", "b leaves at 1 s", "c joins at 2 s", "refused", "50 clients"):
            self.assertIn(words, out)

    def test_nobody_served(self) -> None:
        """Where every connection is refused there are no response times, rather than very short ones."""
        out = self.simulate("--service", "failing:1")
        self.assertNotIn("0 ms", out)
        self.assertIn("–", out)

    def test_trace(self) -> None:
        """A recorded access log is played."""
        trace = self.mktemp()
        lines = [
            {"time": f"2026-03-01T09:30:{n / 10:06.3f}Z", "duration": 0.5, "client": f"192.0.2.{n % 7}"}
            for n in range(50)
        ]
        Path(trace).write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        code, out, _ = self.command("simulate", self.file, "--trace", trace, "--json")
        [result] = json.loads(out)["results"]
        self.assertEqual((code, result["served"], result["response"]["max"]), (0, 50, 0.5))

    def test_shortest_trace(self) -> None:
        """One connection that took no time is enough, also for a picture."""
        trace, picture = self.mktemp(), self.mktemp()
        Path(trace).write_text(
            '{"time": "2026-03-01T09:30:00Z", "duration": 0, "client": "192.0.2.1"}\n', encoding="utf-8"
        )
        code, out, _ = self.command("simulate", self.file, "--trace", trace, "--plot", picture)
        self.assertEqual(code, 0)
        self.assertIn("1 arrivals", out)
        ElementTree.parse(picture)

    def test_bad_trace(self) -> None:
        """A trace that does not parse is told with its lines."""
        trace = self.mktemp()
        Path(trace).write_text('{"time": 1}\n', encoding="utf-8")
        self.refuses(f"{trace}:1: client must be text", "--trace", trace)

    def test_bad_arguments(self) -> None:
        """Whatever is wrong is one line with the option's name, and exit 78."""
        for words, arguments in {
            "unknown strategy 'maglv'; did you mean maglev?": ("--strategy", "maglv"),
            "bound: must be": ("--strategy", "{name: maglev, bound: x}"),
            "--strategy: must be a name": ("--strategy", "{bound: 3}"),
            "is not YAML": ("--strategy", "[maglev"),
            "--strategy: must be": ("--strategy", "17"),
            "must be a name or": ("--strategy", ""),
            "there is no pool 'x'": ("--pool", "x"),
            "--count: must be from 1 to 20000000, not 0": ("-n", "0"),
            "--service: 'slow:x': must be a number, not 'x'": ("--service", "slow:x"),
            "--load: must be": ("--load", "nan"),
            "--pattern: must be": ("--pattern", "rain"),
            "--rate: is needed": ("--concurrency", "0"),
            "no backend 'z'": ("--service", "z=slow:2"),
            "--leave: there is no backend": ("--leave", "z@1s"),
            "--join: c@3600s is after the last arrival": ("--join", "c@1h", "-n", "100"),
            "cannot be written: No such file": ("-n", "10", "--plot", "/nonexistent/x.svg"),
        }.items():
            self.refuses(words, *arguments)

    def test_bad_config(self) -> None:
        """The configuration's own errors come with their places."""
        Path(self.file).write_text("pools: 3\n", encoding="utf-8")
        code, _, err = self.command("simulate", self.file)
        self.assertEqual(code, 78)
        self.assertIn(f"{self.file}:1:1: pools: must be a mapping", err)


class TwoPoolsTests(CommandCase):
    """A file with more than one pool."""

    config = TWO_POOLS

    def test_which(self) -> None:
        """The pool has to be named, and then is the one that is simulated."""
        code, _, err = self.command("simulate", self.file)
        self.assertEqual(code, 78)
        self.assertIn("has 2: web, api", err)
        code, out, _ = self.command("simulate", self.file, "--pool", "web", "-n", "100")
        self.assertEqual(code, 0)
        self.assertIn("pool web", out)

    def test_all_weights_zero(self) -> None:
        """A pool whose weights are all 0 has nothing to simulate, which is told."""
        code, _, err = self.command("simulate", self.file, "--pool", "api")
        self.assertEqual(code, 78)
        self.assertIn("every backend has weight 0", err)
