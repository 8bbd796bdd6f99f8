"""What is understood: options, the load's report, the configurations of the proxies."""

from __future__ import annotations

from pathlib import Path

import yaml
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from bench import peers, scenarios
from bench.__main__ import order, parser
from bench.native import parse
from bench.peers import HERE, Plan, haproxy, nginx, nginx_zone, txlb
from bench.process import BenchError
from bench.scenarios import addresses
from bench.scenarios.pick import timed

PLAN = Plan(8080, (("127.1.0.1", 9), ("127.1.0.2", 9)), 100)
RIGHT = {"done": 10, "bytes": 5, "errors": 0, "reason": "", "seconds": 1.0}


class ReportTests(SynchronousTestCase):
    """A run counts only when everything that came back was right."""

    def test_right(self) -> None:
        """Counts and latencies are taken over."""
        answers = parse({**RIGHT, "planned": 10, "p50": 3, "max": 9})
        self.assertEqual((answers.done, answers.latencies), (10, {"p50": 3.0, "max": 9.0}))

    def test_wrong_bytes(self) -> None:
        """One wrong answer spoils the run, and the reason is told."""
        error = self.assertRaises(BenchError, parse, {**RIGHT, "errors": 1, "reason": "wrong bytes after 3 of 9 bytes"})
        self.assertIn("1 of 11 wrong: wrong bytes", str(error))

    def test_nothing_done(self) -> None:
        """No answer at all is not a cost of 0."""
        self.assertRaises(BenchError, parse, {**RIGHT, "done": 0})

    def test_schedule_not_kept(self) -> None:
        """An open loop that left out requests measured something else."""
        self.assertRaises(BenchError, parse, {**RIGHT, "planned": 11})


class OrderTests(SynchronousTestCase):
    """The command's options."""

    def test_everything_by_default(self) -> None:
        """All peers, several rounds, and all scenarios that need not be named."""
        made = order(parser().parse_args([]))
        self.assertEqual([peer.name for peer in made.peers], peers.names())
        everything = [name for name in scenarios.names() if name != "strategies"]
        self.assertEqual([scenario.name for scenario in made.scenarios], everything)
        self.assertGreaterEqual(made.rounds, 3)

    def test_quick_leaves_out_what_takes_long(self) -> None:
        """Unless it is named; a name's beginning names all that share it."""
        quick = [one.name for one in order(parser().parse_args(["--quick"])).scenarios]
        self.assertIn("kept", quick)
        self.assertNotIn("workers-cost", quick)
        words = ["--quick", "--scenarios", "workers,strategies"]
        named = [one.name for one in order(parser().parse_args(words)).scenarios]
        self.assertEqual(named, ["workers-cost", "workers-rate", "workers-spread", "workers-staleness", "strategies"])

    def test_against_adds_a_variant_of_each_txlb(self) -> None:
        """And of nobody else."""
        words = ["--peers", "haproxy,txlb-epoll", "--against", str(HERE / "observed.yaml"), "--scenarios", "new"]
        self.assertEqual(
            [peer.name for peer in order(parser().parse_args(words)).peers],
            ["haproxy", "txlb-epoll", "txlb-epoll+observed"],
        )

    def test_unknown_names(self) -> None:
        """A name that is nobody's is an error."""
        self.assertRaises(KeyError, order, parser().parse_args(["--peers", "envoi"]))
        self.assertRaises(KeyError, order, parser().parse_args(["--scenarios", "kepd"]))


class ConfigurationTests(SynchronousTestCase):
    """What is written for each proxy."""

    def setUp(self) -> None:
        """A folder to write into."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_txlb(self) -> None:
        """YAML with the engine, both backends and the addition."""
        command = txlb.command("epoll", "drain_timeout: 1s")(PLAN, self.folder)
        read = yaml.safe_load(Path(command[-1]).read_text())
        self.assertEqual(read["listeners"]["bench"]["engine"], "epoll")
        self.assertEqual(read["pools"]["bench"]["backends"], ["tcp:127.1.0.1:9", "tcp:127.1.0.2:9"])
        self.assertEqual(read["drain_timeout"], "1s")

    def test_workers(self) -> None:
        """Each is told how many, in its own words; nginx has a master only where there are several."""
        plan = evolve(PLAN, workers=4)
        self.assertEqual(yaml.safe_load(Path(txlb.command("epoll")(plan, self.folder)[-1]).read_text())["workers"], 4)
        self.assertIn("nbthread 4", Path(haproxy.command(plan, self.folder)[-1]).read_text())
        if nginx.version() is None:
            self.skipTest("nginx with its stream module is not installed")
        text = Path(nginx_zone.command(plan, self.folder)[2]).read_text()
        for words in ("worker_processes 4;", "master_process on;", "zone bench 1m;"):
            self.assertIn(words, text)

    def test_haproxy(self) -> None:
        """One thread, both servers, half-close and keepalive on; beyond its limit of servers another algorithm."""
        text = Path(haproxy.command(PLAN, self.folder)[-1]).read_text()
        for words in ("nbthread 1", "server s1 127.1.0.2:9", "client-fin 30s", "option clitcpka", "balance roundrobin"):
            self.assertIn(words, text)
        many = Plan(8080, addresses(5000, 9), 100)
        self.assertIn("balance static-rr", Path(haproxy.command(many, self.folder)[-1]).read_text())

    def test_nginx(self) -> None:
        """One worker, half-close on, least connections where asked."""
        if nginx.version() is None:
            self.skipTest("nginx with its stream module is not installed")
        least = Plan(8080, PLAN.backends, 100, "least-connections")
        text = Path(nginx.command(least, self.folder)[2]).read_text()
        for words in ("worker_processes 1;", "proxy_half_close on;", "least_conn;", "server 127.1.0.2:9"):
            self.assertIn(words, text)

    def test_backends_have_addresses_of_their_own(self) -> None:
        """Ten thousand different ones, all on loopback and none ending in 0 or 255."""
        hosts = [host for host, _ in addresses(10000, 9)]
        self.assertEqual(len(set(hosts)), 10000)
        self.assertTrue(all(host.startswith("127.1.") and 0 < int(host.split(".")[3]) < 251 for host in hosts))


class TimedTests(SynchronousTestCase):
    """The timing of picks, on a clock of its own."""

    def timed(self, costs: list[int]) -> tuple[float, list[int]]:
        """(ns per unit, the batches' sizes) where a unit takes each of these costs in turn, and the last for ever."""
        now, counts = [0], []

        def batch(count: int) -> None:
            counts.append(count)
            now[0] += count * (costs.pop(0) if len(costs) > 1 else costs[0])

        return timed(batch, 0.01, lambda: now[0]), counts

    def test_batches_grow_to_a_millisecond(self) -> None:
        """Short batches are tried out and not counted."""
        best, counts = self.timed([1000])
        self.assertEqual(best, 1000)
        self.assertEqual(counts[:12], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024])

    def test_the_best_batch_counts(self) -> None:
        """What the machine took away from one batch is not the strategy's cost."""
        best, _ = self.timed([3_000_000, 2_000_000, 4_000_000])
        self.assertEqual(best, 2_000_000)
