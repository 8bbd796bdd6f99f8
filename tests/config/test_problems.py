"""Each value that can be wrong in a configuration, by the exact words and the place."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import LISTENER, POOL, problems


def top(line: str) -> list[str]:
    """The problems of a file whose third line is `line`, at the top level."""
    return problems(LISTENER + POOL + line + "\n")


def in_pool(line: str) -> list[str]:
    """The problems of a file whose fifth line is `line`, in a pool."""
    return problems(LISTENER + "pools:\n  p:\n    backends: ['tcp:a:1']\n    " + line + "\n")


def in_backend(line: str) -> list[str]:
    """The problems of a file whose sixth line is `line`, in a backend."""
    return problems(LISTENER + "pools:\n  p:\n    backends:\n    - connect: tcp:a:1\n      " + line + "\n")


def in_listener(line: str) -> list[str]:
    """The problems of a file whose fifth line is `line`, in a listener."""
    return problems(POOL + "listeners:\n  web:\n    listen: tcp:8080\n    " + line + "\n    pool: p\n")


class Contract(SynchronousTestCase):
    """What the public contract says in so many words."""

    def test_example(self) -> None:
        """The contract's own example of an error."""
        text = """\
            listeners: {web: {listen: tcp:8080, pool: web}}
            pools:
              web:
                strategy: round-robin
                backends:
                  - connect: tcp:127.0.0.1:9001
                    weight: -1
            """
        self.assertEqual(problems(text), ["config.yaml:7:9: pools.web.backends[0].weight: must be 0 or more, not -1"])

    def test_all_at_once_in_order(self) -> None:
        """Every problem of a file is told, in the order of its lines."""
        text = """\
            workers: many
            listeners:
              web: {listen: tcp:99999, pool: q}
            pools:
              p: {backends: [tcp:a, {connect: "tcp:b:1", weight: x}], retires: 2}
            drain_timeout: soon
            """
        self.assertEqual(
            problems(text),
            [
                "config.yaml:1:1: workers: must be auto or a whole number, not 'many'",
                "config.yaml:3:9: listeners.web.listen: the port must be from 0 to 65535, not 99999",
                "config.yaml:3:28: listeners.web.pool: no pool is named 'q'; defined: p",
                "config.yaml:5:18: pools.p.backends[0]: has no port; write for instance tcp:127.0.0.1:9001",
                "config.yaml:5:46: pools.p.backends[1].weight: must be a whole number, not 'x'",
                "config.yaml:5:59: pools.p.retires: unknown key; did you mean retries?",
                "config.yaml:6:1: drain_timeout: must be a duration such as 250ms, 2s, 5m or 1h, not 'soon'",
            ],
        )


class Table(SynchronousTestCase):
    """One line, and what is wrong with it."""

    def check(self, find: object, place: str, cases: Iterable[tuple[str, str]]) -> None:
        """Each line gives exactly the one problem."""
        assert callable(find)
        for line, expected in cases:
            self.assertEqual(find(line), [f"config.yaml:{place}: {expected}"], line)

    def test_top(self) -> None:
        """The top level."""
        self.check(
            top,
            "3:1",
            [
                ("listners: 1", "listners: unknown key; did you mean listeners?"),
                (
                    "zzz: 1",
                    "zzz: unknown key; known: access_log, admin, drain_timeout, echo, listeners, pools, workers",
                ),
                (
                    '"a b": 1',
                    '"a b": unknown key; known: access_log, admin, drain_timeout, echo, listeners, pools, workers',
                ),
                ("workers: 0", "workers: must be auto or 1 or more, not 0"),
                ("workers: 5000", "workers: must be auto or 1024 or less, not 5000"),
                ("workers: true", "workers: must be auto or a whole number, not true"),
                ("workers: 1e3", "workers: must be auto or a whole number, not '1e3'"),
                ("workers:", "workers: must be auto or a whole number, not nothing"),
                ("drain_timeout: -1", "drain_timeout: must be a duration such as 250ms, 2s, 5m or 1h, not -1"),
                ("drain_timeout: 1:30", "drain_timeout: must be a duration such as 250ms, 2s, 5m or 1h, not '1:30'"),
                ("drain_timeout: .inf", "drain_timeout: must be a duration such as 250ms, 2s, 5m or 1h, not .inf"),
                ("drain_timeout: [1s]", "drain_timeout: must be a duration such as 250ms, 2s, 5m or 1h, not a list"),
                ("drain_timeout: 9000h", "drain_timeout: must be a year or less, not '9000h'"),
                ("echo: []", "echo: must hold at least one"),
                ("echo: 9001", "echo: must be text, not 9001 (put it in quotes)"),
                ("echo: {}", "echo: must be text, not a mapping"),
                ("echo: tcp:8080", "echo: listens on the same as listeners.web.listen in line 1"),
                ("access_log: on", "access_log: must be a mapping, not 'on'"),
                ("admin:", "admin: must be a mapping, not nothing"),
            ],
        )

    def test_admin_and_access_log(self) -> None:
        """What is inside of the smaller sections."""
        cases = (
            ("admin: {token_file: t}", "3:1: admin.listen: is missing"),
            (
                "admin: {listen: tcp:9090}",
                "3:9: admin.listen: can be reached from elsewhere, so that admin.token_file is needed",
            ),
            (
                "admin: {listen: 'tcp:9090:interface=192.0.2.1'}",
                "3:9: admin.listen: can be reached from elsewhere, so that admin.token_file is needed",
            ),
            ("admin: {listen: 'unix:/a', token_file: ''}", "3:28: admin.token_file: must not be empty"),
            ("admin: {listen: 'unix:/a', hosts: [1]}", "3:36: admin.hosts[0]: must be text, not 1 (put it in quotes)"),
            ("access_log: {file: {}}", "3:14: access_log.file: must be text, not a mapping"),
            (
                "access_log: {format: '{client'}",
                "3:14: access_log.format: must be json or a template such as '{client} {outcome}': "
                "expected '}' before end of string",
            ),
        )
        for line, expected in cases:
            self.assertEqual(top(line), [f"config.yaml:{expected}"], line)

    def test_admin_on_loopback(self) -> None:
        """On loopback and UNIX sockets the admin needs no token."""
        for listen in (
            "tcp:1:interface=127.0.0.1",
            "tcp:1:interface=localhost",
            r"tcp:1:interface=\:\:1",
            "unix:/run/a",
        ):
            self.assertEqual(top(f"admin: {{listen: '{listen}'}}"), [], listen)
        self.assertEqual(top("admin: {listen: tcp:9090, token_file: t}"), [])

    def test_listener(self) -> None:
        """A listener's keys."""
        self.check(
            in_listener,
            "5:5",
            [
                ("engine: poll", "listeners.web.engine: must be one of auto, epoll, reactor, not 'poll'; did you mean epoll?"),
                ("engine: []", "listeners.web.engine: must be one of auto, epoll, reactor, not a list"),
                ("max_connections: 0", "listeners.web.max_connections: must be 1 or more, not 0"),
                ("max_connections: '5'", "listeners.web.max_connections: must be a whole number, not '5'"),
                ("max_connections_per_clients: 5",
                 "listeners.web.max_connections_per_clients: unknown key; did you mean max_connections_per_client?"),
                ("timeouts: 5s", "listeners.web.timeouts: must be a mapping, not '5s'"),
            ],
        )  # fmt: skip
        self.check(
            in_listener,
            "5:16",
            [
                ("timeouts: {idl: 5s}", "listeners.web.timeouts.idl: unknown key; did you mean idle?"),
                ("timeouts: {idle: 0}", "listeners.web.timeouts.idle: must be 1ms or more, not 0"),
                ("timeouts: {keepalive: 10h}", "listeners.web.timeouts.keepalive: must be 9h or less, not '10h'"),
                ("timeouts: {user_timeout: 577h}",
                 "listeners.web.timeouts.user_timeout: must be 576h or less, not '577h'"),
                ("timeouts: {connect: true}",
                 "listeners.web.timeouts.connect: must be a duration such as 250ms, 2s, 5m or 1h, not true"),
            ],
        )  # fmt: skip

    def test_pool(self) -> None:
        """A pool's keys."""
        self.check(
            in_pool,
            "5:5",
            [
                ("retries: -1", "pools.p.retries: must be 0 or more, not -1"),
                ("send_proxy: v3", "pools.p.send_proxy: must be one of none, v1, v2, not 'v3'"),
                ("panic_threshold: 101", "pools.p.panic_threshold: must be 100 or less, not 101"),
                ("close_when_down: maybe", "pools.p.close_when_down: must be true or false, not 'maybe'"),
                ("slow_start: fast", "pools.p.slow_start: must be a duration such as 250ms, 2s, 5m or 1h, not 'fast'"),
                ("max_connections: 1.5", "pools.p.max_connections: must be a whole number, not 1.5"),
                ("health: tcp", "pools.p.health: must be a mapping, not 'tcp'"),
                ("queue: 5", "pools.p.queue: must be a mapping, not 5"),
            ],
        )

    def test_inside_of_a_pool(self) -> None:
        """The sections in a pool."""
        cases = (
            ("queue: {sise: 5}", "13: pools.p.queue.sise: unknown key; did you mean size?"),
            ("outliers: {max_percent: 101}", "16: pools.p.outliers.max_percent: must be 100 or less, not 101"),
            ("outliers: {ejection: 0s}", "16: pools.p.outliers.ejection: must be 1ms or more, not '0s'"),
            ("retry_budget: {percent: 20%}", "20: pools.p.retry_budget.percent: must be a whole number, not '20%'"),
            ("health: {rise: 0}", "14: pools.p.health.rise: must be 1 or more, not 0"),
            ("health: {interval: 1ms}", "14: pools.p.health.interval: must be 10ms or more, not '1ms'"),
            ("health: {intervall: 1s}", "14: pools.p.health.intervall: unknown option of tcp; did you mean interval? (it has no options)"),
            ("health: {check: webb}", "14: pools.p.health.check: unknown health check 'webb'; did you mean web? (installed: tcp, web)"),
            ("health: {check: 5}", "14: pools.p.health.check: must be text, not 5 (put it in quotes)"),
            ("health: {check: web}", "14: pools.p.health.check: web: path: is required"),
            ("health: {check: web, path: 5}", "26: pools.p.health.path: must be text, not 5"),
            ("health: {check: web, path: /, expect: x}",
             "35: pools.p.health.expect: must be a whole number, not 'x'"),
            ("health: {connect: 'tcp:{port}'}", "14: pools.p.health.connect: has no port; write for instance tcp:127.0.0.1:9001"),
        )  # fmt: skip
        for line, expected in cases:
            self.assertEqual(in_pool(line), [f"config.yaml:5:{expected}"], line)

    def test_strategy(self) -> None:
        """Names and options of strategies; the place is the option's own."""
        names = "installed: explosive, gone, round-robin, stranger, timed, twin"
        cases = (
            ("strategy: round-robbin",
             f"5: pools.p.strategy: unknown strategy 'round-robbin'; did you mean round-robin? ({names})"),
            ("strategy: {name: zzz}", f"16: pools.p.strategy.name: unknown strategy 'zzz' ({names})"),
            ("strategy: [round-robin, zzz]", f"29: pools.p.strategy[1]: unknown strategy 'zzz' ({names})"),
            ("strategy: []", "5: pools.p.strategy: must hold at least one"),
            ("strategy: 5", "5: pools.p.strategy: must be text, not 5 (put it in quotes)"),
            ("strategy: {measure: connect}", "5: pools.p.strategy.name: is missing"),
            ("strategy: {name: []}", "16: pools.p.strategy.name: must be text, not a list"),
            ("strategy: {name: timed, mesure: x}", "29: pools.p.strategy.mesure: unknown option of timed; did you mean measure? (its options: measure, decay, size, zones)"),
            ("strategy: {name: timed, zzz: x}",
             "29: pools.p.strategy.zzz: unknown option of timed (its options: measure, decay, size, zones)"),
            ("strategy: {name: timed, measure: x}",
             "29: pools.p.strategy.measure: must be one of connect, first-byte, not 'x'"),
            ("strategy: {name: timed, decay: x}",
             "29: pools.p.strategy.decay: must be a duration such as 250ms, 2s, 5m or 1h, not 'x'"),
            ("strategy: {name: timed, size: 0}", "29: pools.p.strategy.size: 'size' must be >= 1: 0"),
            ("strategy: [{name: timed, size: two}]", "30: pools.p.strategy[0].size: must be a whole number, not 'two'"),
            ("strategy: {name: timed, zones: [{a: b}]}",
             "29: pools.p.strategy.zones: must be text, not {'a': 'b'}"),
            ("strategy: explosive",
             "5: pools.p.strategy: explosive cannot be made with these options: RuntimeError: bang"),
            ("strategy: stranger",
             "5: pools.p.strategy: stranger (tests.config.fakes.Stranger) does not implement IStrategy"),
            ("strategy: gone",
             "5: pools.p.strategy: gone (tests.config.fakes:NoSuchClass) cannot be loaded: AttributeError: "
             "module 'tests.config.fakes' has no attribute 'NoSuchClass'"),
            ("strategy: twin",
             "5: pools.p.strategy: 2 plugins are named twin: tests.config.fakes:Plain, tests.config.fakes:Timed"),
        )  # fmt: skip
        for line, expected in cases:
            self.assertEqual(in_pool(line), [f"config.yaml:5:{expected}"], line)

    def test_backend(self) -> None:
        """A backend's keys."""
        self.check(
            in_backend,
            "6:7",
            [
                ("weight: 1001", "pools.p.backends[0].weight: must be 1000 or less, not 1001"),
                ("weight: 1.0", "pools.p.backends[0].weight: must be a whole number, not 1.0"),
                ("weight: 010", "pools.p.backends[0].weight: must be a whole number, not '010'"),
                ("wieght: 1", "pools.p.backends[0].wieght: unknown key; did you mean weight?"),
                ("backup: 1", "pools.p.backends[0].backup: must be true or false, not 1"),
                ("name: ''", "pools.p.backends[0].name: must not be empty"),
                ("name: 7", "pools.p.backends[0].name: must be text, not 7 (put it in quotes)"),
                ('name: "a\\nb"', "pools.p.backends[0].name: must not hold control characters"),
                (f"name: {'x' * 201}", "pools.p.backends[0].name: must be 200 characters or fewer, not 201"),
                ("check_connect: tcp:b:0",
                 "pools.p.backends[0].check_connect: the port must be from 1 to 65535, not 0"),
            ],
        )  # fmt: skip
