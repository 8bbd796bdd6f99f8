"""What sound configurations become."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

import txlb
from tests.config.fakes import LISTENER, POOL, fake_checks, fake_strategies, problems, read
from txlb import specs
from txlb.config import parse
from txlb.specs import BackendSpec, StrategySpec

_CONTRACT = r"""
workers: auto
listeners:
  web:
    listen: tcp:8080:interface=127.0.0.1
    pool: echoes
    engine: auto
    max_connections: 10000
    max_connections_per_client: 7
    timeouts: {connect: 5s, idle: 1h, half_close: 30s, linger: 5s, keepalive: 0, user_timeout: 250ms}
  six:
    listen: [tcp6:8080, "tcp:8081:interface=\\:\\:1"]
    pool: echoes
pools:
  echoes:
    strategy: [{name: timed, measure: first-byte, decay: 5s}, round-robin]
    retries: 2
    retry_budget: {percent: 30, least: 5}
    send_proxy: v2
    queue: {size: 10, timeout: 7s}
    max_connections: 50
    backends:
      - tcp:127.0.0.1:9001
      - {name: green, connect: "tcp:127.0.0.1:9002", weight: 2, max_connections: 100, backup: yes,
         check_connect: tcp:127.0.0.1:9902}
    health: {check: web, path: /ok, connect: "tcp:{host}:81", interval: 3s, down_interval: 9s, timeout: 0.5, rise: 1,
             fall: 4}
    outliers: {failures: 0, ejection: 1m, max_ejection: 1h, max_percent: 10}
    panic_threshold: 0
    slow_start: 1m
    close_when_down: true
drain_timeout: 1m
access_log: {file: access.log, format: "{client} {outcome}"}
admin: {listen: tcp:9090, token_file: token, hosts: lb.example.com}
echo: [tcp:9001, tcp:9002]
"""


class Everything(SynchronousTestCase):
    """Every key, and every default."""

    def test_every_key(self) -> None:
        """Each key goes to the attribute of its name, durations as seconds."""
        config = read(_CONTRACT)
        pool = specs.PoolSpec(
            name="echoes",
            strategy=(
                StrategySpec("timed", {"measure": "first-byte", "decay": "5s"}),
                StrategySpec("round-robin"),
            ),
            backends=(
                BackendSpec("tcp:127.0.0.1:9001", "tcp:127.0.0.1:9001"),
                BackendSpec("green", "tcp:127.0.0.1:9002", 2, 100, True, "tcp:127.0.0.1:9902"),
            ),
            retries=2,
            retry_budget=specs.RetryBudgetSpec(30, 5),
            send_proxy="v2",
            queue=specs.QueueSpec(10, 7.0),
            max_connections=50,
            health=specs.HealthSpec("web", {"path": "/ok"}, "tcp:{host}:81", 3.0, 9.0, 0.5, 1, 4),
            outliers=specs.OutlierSpec(0, 60.0, 3600.0, 10),
            panic_threshold=0,
            slow_start=60.0,
            close_when_down=True,
        )
        web = specs.ListenerSpec(
            "web", ("tcp:8080:interface=127.0.0.1",), "echoes", "auto", 10000, 7,
            specs.TimeoutsSpec(5.0, 3600.0, 30.0, 5.0, 0.0, 0.25),
        )  # fmt: skip
        six = specs.ListenerSpec("six", ("tcp6:8080", "tcp:8081:interface=\\:\\:1"), "echoes")
        expected = specs.Config(
            listeners={"web": web, "six": six},
            pools={"echoes": pool},
            workers=0,
            drain_timeout=60.0,
            access_log=specs.AccessLogSpec("access.log", "{client} {outcome}"),
            admin=specs.AdminSpec("tcp:9090", "token", ("lb.example.com",)),
            echo=("tcp:9001", "tcp:9002"),
        )
        self.assertEqual(config, expected)
        self.assertEqual(config.warnings, ())

    def test_every_default(self) -> None:
        """What is not given is as `txlb.specs` has it."""
        config = read(LISTENER + POOL)
        backend = BackendSpec("tcp:127.0.0.1:9001", "tcp:127.0.0.1:9001")
        expected = specs.Config(
            listeners={"web": specs.ListenerSpec("web", ("tcp:8080",), "p")},
            pools={"p": specs.PoolSpec("p", (backend,))},
        )
        self.assertEqual(config, expected)

    def test_bounds(self) -> None:
        """The least and the most that is allowed is allowed."""
        for line in (
            "workers: 1", "workers: 1024", "drain_timeout: 0", "drain_timeout: 8784h",
            "listeners: {web: {listen: tcp:65535, pool: p, timeouts: {idle: 1ms, linger: 0}}}",
            "pools: {p: {backends: [{connect: tcp:a:1, weight: 1000}], retries: 100, panic_threshold: 100}}",
            "pools: {p: {backends: [{connect: tcp:a:65535, weight: 0}], health: {interval: 10ms, rise: 1000}}}",
            f"pools: {{p: {{backends: [{{connect: tcp:a:1, name: {'n' * 200}}}], retries: 0, panic_threshold: 0}}}}",
        ):  # fmt: skip
            rest = [part for part in (LISTENER, POOL) if part.partition(":")[0] != line.partition(":")[0]]
            self.assertEqual(problems(line + "\n" + "".join(rest)), [], line)

    def test_flags(self) -> None:
        """The words that people write for true and false."""
        line = "pools: {p: {backends: ['tcp:a:1'], close_when_down: %s}}"
        for word in ("true", "yes", "on", "True", "ON", "'yes'"):
            self.assertTrue(read(LISTENER + line % word).pools["p"].close_when_down, word)
        for word in ("false", "no", "off"):
            self.assertFalse(read(LISTENER + line % word).pools["p"].close_when_down, word)

    def test_names_that_are_words(self) -> None:
        """`on`, `no` and numbers are names like others."""
        text = "listeners: {on: {listen: tcp:1, pool: no}}\npools: {no: {backends: ['tcp:a:1']}}"
        self.assertEqual(read(text).listeners["on"].pool, "no")

    def test_the_file_at_the_root(self) -> None:
        """The project's own config.yaml is sound, runs on loopback only, and gives no warning."""
        file = Path(txlb.__file__).parents[1] / "config.yaml"
        config = parse(file.read_text(), strategies=fake_strategies(), health_checks=fake_checks())
        self.assertEqual(config.warnings, ())
        self.assertEqual(config.listeners["web"].listen, ("tcp:8080:interface=127.0.0.1",))
        self.assertEqual(
            [one.connect for one in config.pools["echoes"].backends],
            ["tcp:127.0.0.1:9001", "tcp:127.0.0.1:9002", "tcp:127.0.0.1:9003"],
        )
        self.assertEqual(len(config.echo), 3)


class Documentation(SynchronousTestCase):
    """docs/configuration.md."""

    def test_every_key_is_there(self) -> None:
        """Each attribute that a file can set has its key in the reference."""
        reference = (Path(txlb.__file__).parents[1] / "docs" / "configuration.md").read_text()
        given = {"name", "options", "file", "warnings"}  # names of sections, plugins' own, and what is no key
        for spec in (
            specs.Config, specs.ListenerSpec, specs.TimeoutsSpec, specs.PoolSpec, specs.BackendSpec, specs.HealthSpec,
            specs.OutlierSpec, specs.QueueSpec, specs.RetryBudgetSpec, specs.AdminSpec, specs.AccessLogSpec,
        ):  # fmt: skip
            for field in attrs.fields(spec):
                if field.name not in given:
                    self.assertIn(f"`{field.name}`", reference, spec.__name__)
