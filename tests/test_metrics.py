"""Tests for `txlb.metrics`, by Prometheus' own parser."""

from __future__ import annotations

import math
import random
import re
import time
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb import events, registry
from txlb.clock import SLICE
from txlb.events import EventBus
from txlb.interfaces import Outcome
from txlb.metrics import Metrics
from txlb.metrics.backends import CONNECT, DURATION, FIRST_BYTE, label
from txlb.metrics.process import EVERY, LoopLag
from txlb.model.histogram import BOUNDS
from txlb.model.pool import Pool
from txlb.specs import BackendSpec, Config, HealthSpec, PoolSpec, QueueSpec

Found = dict[tuple[str, frozenset[tuple[str, str]]], float]

LISTENER = {"engine": "epoll", "open": 2, "total": 9, "rejected": 1, "pool": "p", "max_connections": None}


class Control:
    """As much of IControl as metrics ask, over real pools."""

    def __init__(self, *pools: Pool) -> None:
        self.pools = {pool.name: pool for pool in pools}
        self.more: dict[str, Any] = {}
        self.listeners: dict[str, Any] = {"web": LISTENER}
        self.asked = 0

    def ready(self) -> bool:
        """Always."""
        return True

    def draining(self) -> bool:
        """Never."""
        return False

    def state(self) -> Deferred[dict[str, Any]]:
        """As LocalControl has it."""
        self.asked += 1
        shown = {name: pool.snapshot() for name, pool in self.pools.items()}
        return succeed({"listeners": self.listeners, "pools": shown})

    def measurements(self) -> Deferred[dict[str, Any]]:
        """As LocalControl has them."""
        found = {name: pool.measurements() for name, pool in self.pools.items()}
        return succeed({"pools": found, "process": {"open": 2, "limit": 100}, **self.more})


class Scraped(SynchronousTestCase):
    """One pool with two backends, and what a scrape of it says."""

    def setUp(self) -> None:
        """A pool on a clock of its own."""
        self.clock, self.bus, self.now = Clock(), EventBus(), 1000.0
        specs = (BackendSpec("a", "tcp:a:1", weight=3), BackendSpec('b"\\\n%s', "tcp:b:1"))
        spec = PoolSpec("p", specs, health=HealthSpec(rise=1, fall=1), queue=QueueSpec(5, 5.0))
        self.pool = Pool(spec, registry.strategies(), self.clock, random.Random(1), self.bus)
        self.control = Control(self.pool)
        self.metrics = Metrics(self.control, self.bus, self.clock, now=lambda: self.now)
        self.addCleanup(self.metrics.stop)

    def text(self) -> str:
        """One scrape."""
        asked = self.metrics.render()
        while not asked.called:
            self.clock.advance(0)
        return self.successResultOf(asked).decode()

    def scrape(self) -> Found:
        """Every sample by its name and labels; a sample that is there twice is an error."""
        found: Found = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                self.assertNotIn(key, found)
                found[key] = sample.value
        return found

    def value(self, name: str, found: Found | None = None, /, **labels: str) -> float | None:
        """One sample, None where it is not there."""
        return (found or self.scrape()).get((name, frozenset(labels.items())))

    def connect(self, backend: str, seconds: float, outcome: str = "ok") -> None:
        """One connection to this backend, from its dial to its end."""
        others = frozenset(b for name, b in self.pool.backends.items() if name != backend)
        lease = self.pool.acquire(None, others)
        assert lease is not None
        lease.connected(seconds)
        lease.first_byte(2 * seconds)
        lease.release(outcome, 100, 1000, 10 * seconds)


class FormatTests(Scraped):
    """What every scrape keeps to."""

    def test_names(self) -> None:
        """Every family has a type and help, and ours a name after the conventions: a prefix, base units, `_total`."""
        self.connect("a", 0.001)
        families = list(text_string_to_metric_families(self.text()))
        self.assertEqual(len(families), len({family.name for family in families}))
        for family in families:
            self.assertTrue(family.name.startswith(("txlb_", "process_")), family.name)
            self.assertTrue(family.documentation and family.documentation.endswith("."), family.name)
            self.assertNotEqual(family.type, "unknown", family.name)
            for sample in family.samples:
                total = sample.name.endswith("_total")
                self.assertEqual(total, family.type == "counter", sample.name)

    def test_odd_names(self) -> None:
        """A backend may have any name: it is escaped, and comes back as it was."""
        self.assertEqual(self.value("txlb_backend_weight", pool="p", backend='b"\\\n%s'), 1)
        self.assertEqual(label("\udce9"), "?")

    def test_bounds_are_counted(self) -> None:
        """Each bound that is shown is one that is counted, so that no bucket is a guess."""
        for bounds in (CONNECT, FIRST_BYTE, DURATION):
            self.assertTrue(set(bounds) <= set(BOUNDS))
            self.assertEqual(list(bounds), sorted(bounds))

    def test_documented(self) -> None:
        """docs/metrics.md has every family with its type, and no other."""
        page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")
        written = set(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE))
        there = set(re.findall(r"^# TYPE (\w+) (\w+)$", self.text(), re.MULTILINE))
        self.assertEqual(written, there)

    def test_content_type(self) -> None:
        """The classic text format."""
        self.assertIn("version=0.0.4", self.metrics.content_type)


class FigureTests(Scraped):
    """What is shown is what was counted."""

    def test_backend(self) -> None:
        """Counters of connections, outcomes and bytes; what it is by all three axes; its weights."""
        self.connect("a", 0.001)
        self.connect("a", 0.001, "reset-by-client")
        self.pool.set_admin("a", "drain", "x")
        found = self.scrape()
        for name, expected in {
            "open_connections": 0,
            "connections_total": 2,
            "received_bytes_total": 200,
            "sent_bytes_total": 2000,
            "weight": 3,
            "effective_weight": 3,
            "eligible": 0,
        }.items():
            self.assertEqual(self.value(f"txlb_backend_{name}", found, pool="p", backend="a"), expected, name)
        outcomes = {
            dict(labels)["outcome"]: value
            for (name, labels), value in found.items()
            if name == "txlb_backend_outcomes_total" and dict(labels)["backend"] == "a"
        }
        self.assertEqual(outcomes, {"ok": 1, "reset-by-client": 1})
        states = {
            axis: [
                dict(labels)["state"]
                for (name, labels), value in found.items()
                if name == f"txlb_backend_{axis}_state" and value and dict(labels)["backend"] == "a"
            ]
            for axis in ("admin", "health", "outlier")
        }
        self.assertEqual(states, {"admin": ["drain"], "health": ["unknown"], "outlier": ["ok"]})

    def test_histograms(self) -> None:
        """Buckets are cumulative and inclusive, the last has all, and the sum is in seconds."""
        for seconds in (0.0005, 0.003, 0.003, 60.0):
            self.connect("a", seconds)
        found = self.scrape()

        def upto(bound: str) -> float | None:
            return self.value("txlb_backend_connect_seconds_bucket", found, pool="p", backend="a", le=bound)

        self.assertEqual([upto(b) for b in ("0.0005", "0.001", "0.005", "5.0", "+Inf")], [1, 1, 3, 3, 4])
        for name, total in (("connect", 60.0065), ("first_byte", 120.013), ("duration", 600.065)):
            name = f"txlb_backend_{name}_seconds"
            self.assertEqual(self.value(f"{name}_count", found, pool="p", backend="a"), 4)
            self.assertAlmostEqual(self.value(f"{name}_sum", found, pool="p", backend="a"), total)

    def test_pool(self) -> None:
        """Its queue, retries, refusals by reason, and how many may take connections."""
        self.connect("a", 0.001)  # excludes the other one: a retry
        for name in self.pool.backends:
            self.pool.set_admin(name, "maint", "x")
        self.assertIsNone(self.pool.acquire(None))
        self.pool.wait(None, lambda lease: None)
        found = self.scrape()
        for name, expected in {
            "backends": 2,
            "eligible_backends": 0,
            "queued_clients": 1,
            "retries_total": 1,
            "open_connections": 0,
            "panic": 0,
        }.items():
            self.assertEqual(self.value(f"txlb_pool_{name}", found, pool="p"), expected, name)
        refused = self.pool.refusals["no-backend"]
        self.assertEqual(self.value("txlb_pool_refusals_total", found, pool="p", reason="no-backend"), refused)
        self.assertGreater(refused, 0)
        self.assertEqual(self.value("txlb_pool_refusals_total", found, pool="p", reason="queue"), 0)
        self.assertEqual(self.value("txlb_pool_info", found, pool="p", strategy="round-robin"), 1)

    def test_listener(self) -> None:
        """What it accepted, and where they are measured its outcomes, bytes and durations."""
        found = self.scrape()
        self.assertEqual(self.value("txlb_listener_connections_total", found, listener="web"), 9)
        self.assertEqual(self.value("txlb_listener_open_connections", found, listener="web"), 2)
        self.assertEqual(self.value("txlb_listener_rejected_total", found, listener="web"), 1)
        self.assertIsNone(self.value("txlb_listener_max_connections", found, listener="web"))
        self.assertEqual(self.value("txlb_listener_info", found, listener="web", engine="epoll", pool="p"), 1)
        counts = [0] * (len(BOUNDS) + 1)
        counts[0] = 7
        outcomes = {outcome.value: 7 if outcome is Outcome.OK else 0 for outcome in Outcome}
        figures = {"outcomes": outcomes, "bytes_in": 1, "bytes_out": 2, "duration": (counts, 0.5)}
        self.control.more = {"listeners": {"web": figures}}
        found = self.scrape()
        self.assertEqual(self.value("txlb_listener_outcomes_total", found, listener="web", outcome="ok"), 7)
        self.assertEqual(self.value("txlb_listener_outcomes_total", found, listener="web", outcome="drained"), 0)
        self.assertEqual(self.value("txlb_listener_sent_bytes_total", found, listener="web"), 2)
        self.assertEqual(self.value("txlb_listener_duration_seconds_bucket", found, listener="web", le="+Inf"), 7)

    def test_checks_and_transitions(self) -> None:
        """Verdicts and what became of them; those of a backend that left are gone with it."""
        for ok in (True, False, False):
            self.pool.observe("a", ok, "x")
        found = self.scrape()
        self.assertEqual(self.value("txlb_backend_checks_total", found, pool="p", backend="a", result="failed"), 2)
        self.assertEqual(self.value("txlb_backend_transitions_total", found, pool="p", backend="a", to="down"), 1)
        self.assertEqual(self.value("txlb_backend_health_state", found, pool="p", backend="a", state="down"), 1)
        self.pool.remove("a", "x")
        self.assertFalse([key for key in self.scrape() if ("backend", "a") in key[1]])

    def test_reloads(self) -> None:
        """How many, how they went and when; nothing is said of the time before the first."""
        self.assertIsNone(self.value("txlb_reload_last_timestamp_seconds"))
        self.bus.publish(events.Reloaded(True, "x"))
        self.now = 2000.0
        self.bus.publish(events.Reloaded(False, "x"))
        found = self.scrape()
        self.assertEqual(self.value("txlb_reloads_total", found, result="ok"), 1)
        self.assertEqual(self.value("txlb_reloads_total", found, result="failed"), 1)
        self.assertEqual(self.value("txlb_reload_last_successful", found), 0)
        self.assertEqual(self.value("txlb_reload_last_timestamp_seconds", found), 2000)
        self.assertEqual(self.value("txlb_reload_last_success_timestamp_seconds", found), 1000)

    def test_other_events(self) -> None:
        """Plugins that fail, operators' changes, panics and lines that the access log lost."""
        for event in (
            events.PluginFailed("strategy", "acme", "raised"),
            events.BackendChanged("p", "a", "weight", "2", "x"),
            events.Panic("p", True, 0, 2),
            events.Panic("p", False, 2, 2),
            events.AccessLogLost(12, "full"),
            events.AccessLogLost(3, "full"),
        ):
            self.bus.publish(event)
        found = self.scrape()
        self.assertEqual(self.value("txlb_plugin_failures_total", found, kind="strategy", name="acme"), 1)
        self.assertEqual(self.value("txlb_backend_changes_total", found, pool="p", backend="a", what="weight"), 1)
        self.assertEqual(self.value("txlb_pool_panics_total", found, pool="p"), 1)
        self.assertEqual(self.value("txlb_access_log_lost_lines_total", found), 15)

    def test_config_hash(self) -> None:
        """Two equal configurations have one hash, whatever their files are called; another has another."""

        def hashed(config: Config) -> str:
            self.metrics.applied(config)
            (found,) = [dict(labels)["hash"] for name, labels in self.scrape() if name == "txlb_config_info"]
            return found

        first = hashed(Config(file="a.yaml"))
        self.assertEqual(hashed(Config(file="b.yaml")), first)
        self.assertNotEqual(hashed(Config(drain_timeout=31.0)), first)

    def test_process(self) -> None:
        """This process: its descriptors, processor time, memory and limits, under the usual names."""
        found = self.scrape()
        descriptors = self.value("process_open_fds", found)
        with open("/dev/null"):
            self.assertEqual(self.value("process_open_fds"), descriptors + 1)
        for name in ("cpu_seconds_total", "resident_memory_bytes", "start_time_seconds", "max_fds"):
            self.assertGreater(self.value(f"process_{name}", found), 0)
        self.assertEqual(self.value("txlb_max_connections", found), 100)
        started = self.value("process_start_time_seconds", found)
        self.assertTrue(time.time() - 86400 < started < time.time(), started)

    def test_stop(self) -> None:
        """Nothing is left running, and nothing is counted any more."""
        self.metrics.stop()
        for kind in (events.Reloaded, events.Panic, events.BackendUp):
            self.assertFalse(self.bus.wants(kind))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SliceTests(Scraped):
    """A scrape leaves the data path its turns."""

    def test_slices(self) -> None:
        """On a clock that takes a tenth of a slice a look, rendering takes many turns of the reactor."""
        calls = 0
        (sample,) = self.clock.calls

        def seconds() -> float:
            nonlocal calls
            calls += 1
            return calls * SLICE / 10

        self.clock.seconds = seconds  # type: ignore[method-assign]
        asked = self.metrics.render()
        turns = 0
        while not asked.called:
            turns += 1
            due = [call for call in self.clock.calls if call.getTime() <= self.clock.seconds() and call is not sample]
            self.assertEqual(len(due), 1)
            run, arguments = due[0].func, due[0].args
            due[0].cancel()
            run(*arguments)
        self.assertGreater(turns, 5)
        self.assertTrue(self.successResultOf(asked).endswith(b"\n"))

    def test_shared(self) -> None:
        """Who asks while a scrape is under way gets that one; afterwards there is a new one."""
        held: Deferred[None] = Deferred()
        state = self.control.state
        self.control.state = lambda: held.addCallback(lambda _: state())  # type: ignore[method-assign]
        first, second = self.metrics.render(), self.metrics.render()
        self.assertNoResult(first)
        held.callback(None)
        while not first.called:
            self.clock.advance(0)
        self.assertEqual(self.successResultOf(first), self.successResultOf(second))
        self.assertEqual(self.control.asked, 1)

    def test_failure(self) -> None:
        """A balancer that cannot answer fails the scrape for all who wait, and not the next one."""
        state = self.control.state
        held: Deferred[None] = Deferred()
        self.control.state = lambda: held  # type: ignore[method-assign,assignment,return-value]
        first, second = self.metrics.render(), self.metrics.render()
        held.errback(RuntimeError("no answer"))
        for asked in (first, second):
            self.failureResultOf(asked, RuntimeError)
        self.control.state = state  # type: ignore[method-assign]
        self.assertIn("txlb_ready 1.0", self.text())


class LoopLagTests(SynchronousTestCase):
    """The sampler of the event loop."""

    def test_lateness(self) -> None:
        """A call that comes late counts as late as it was; the worst is forgotten once it was told."""
        clock = Clock()
        lag = LoopLag(clock)
        lag.start()
        clock.advance(EVERY)
        clock.advance(EVERY + 0.3)
        clock.advance(EVERY)
        self.assertEqual(sum(lag.times.counts), 3)
        self.assertTrue(math.isclose(lag.take_worst(), 0.3))
        self.assertEqual(lag.take_worst(), 0.0)
        lag.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
