"""Running the balancer as operators do: scraped and logged under load, logs rotated, sockets handed over by systemd."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import sys
import threading
import urllib.request
from pathlib import Path
from unittest import SkipTest

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs
from txlb.cli import COMMANDS
from txlb.config import parse

CONTRIB = programs.ROOT / "contrib"

CONFIG = """
listeners:
  web: {{listen: "tcp:{listen}:interface=127.0.0.1", pool: echoes}}
pools:
  echoes:
    backends: ["tcp:127.0.0.1:{echo}", {{name: gone, connect: "tcp:127.0.0.1:{gone}", weight: 0}}]
echo: "tcp:{echo}:interface=127.0.0.1"
drain_timeout: 5s
{more}
"""


def say(port: int, words: bytes = b"hello") -> bytes:
    """One connection: say something, end, and hear all of the echo."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        heard = b""
        while piece := connection.recv(4096):
            heard += piece
        return heard


class Clients:
    """Clients that come one after another, several at a time, while the `with` lasts. `done` counts answers."""

    def __init__(self, port: int, number: int = 3) -> None:
        self.port = port
        self.done = 0
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._come) for _ in range(number)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _come(self) -> None:
        while not self._stop.is_set():
            try:
                assert say(self.port) == b"hello"
            except (OSError, AssertionError) as error:
                self.errors.append(error)
                return
            with self._lock:
                self.done += 1


class Operated(SynchronousTestCase):
    """A balancer with two backends, one of which gets nothing."""

    def setUp(self) -> None:
        """Ports and a folder."""
        self.listen, self.echo, self.gone, self.admin = (programs.free_port() for _ in range(4))
        self.place = programs.folder(self)
        self.log = self.place / "access.log"

    def config(self, more: str = "") -> str:
        """The configuration, and more of it."""
        return CONFIG.format(listen=self.listen, echo=self.echo, gone=self.gone, more=more)

    def start(self, more: str = "") -> programs.Program:
        """The balancer."""
        return programs.start_balancer(self, self.config(more))

    def with_admin(self) -> str:
        """The admin's part."""
        return f'admin: {{listen: "tcp:{self.admin}:interface=127.0.0.1"}}\n'

    def logged(self, *files: Path) -> list[dict[str, object]]:
        """Every line of these logs; one that is no JSON is an error."""
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def scrape(self) -> str:
        """The metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
            return str(answer.read(), "utf-8")

    def total(self, text: str, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels."""
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


class ScrapeTests(Operated):
    """Prometheus looks at a balancer that is busy."""

    def test_under_load(self) -> None:
        """Every scrape parses, counters never go back, and at the end metrics, log and clients have counted the same."""
        balancer = self.start(self.with_admin() + f"access_log: {{file: {self.log}}}\n")
        counted: list[float] = []
        with Clients(self.listen) as clients:
            programs.wait_until(lambda: clients.done > 20 or bool(clients.errors), "clients")
            for _ in range(10):
                counted.append(self.total(self.scrape(), "txlb_listener_connections_total", listener="web"))
            programs.wait_until(lambda: clients.done > 200 or bool(clients.errors), "more clients")
        self.assertEqual(clients.errors, [])
        self.assertEqual(counted, sorted(counted))
        self.assertLess(counted[0], counted[-1])
        expected = float(clients.done)

        def ended() -> bool:
            return self.total(self.scrape(), "txlb_listener_outcomes_total") == expected

        programs.wait_until(ended, "the last connection to be counted")
        text = self.scrape()
        for name in (
            "txlb_backend_connections_total",
            "txlb_backend_outcomes_total",
            "txlb_backend_connect_seconds_count",
        ):
            self.assertEqual(self.total(text, name, pool="echoes"), expected, name)
        for name in ("txlb_listener_received_bytes_total", "txlb_backend_sent_bytes_total"):
            self.assertEqual(self.total(text, name), 5 * expected, name)
        self.assertEqual(self.total(text, "txlb_listener_outcomes_total", outcome="ok"), expected)
        programs.wait_until(lambda: self.total(self.scrape(), "txlb_event_loop_lag_seconds_count") > 0, "a sample")
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0)
        lines = self.logged(self.log)
        self.assertEqual(len(lines), clients.done)
        self.assertEqual({(line["outcome"], line["bytes_in"], line["bytes_out"]) for line in lines}, {("ok", 5, 5)})

    def test_promtool(self) -> None:
        """Prometheus' own tool finds nothing to say."""
        promtool = programs.find("promtool")
        self.start(self.with_admin())
        say(self.listen)
        said = programs.run([promtool, "check", "metrics"], input=self.scrape())
        self.assertEqual((said.stdout, said.stderr), ("", ""))

    def test_reloads(self) -> None:
        """A reload that is refused is counted as such, and the hash follows the one that is applied."""
        balancer = self.start(self.with_admin())
        file = self._file(balancer)

        def hashed() -> str:
            return re.findall(r'txlb_config_info\{hash="(\w+)"\}', self.scrape())[0]

        before, good = hashed(), file.read_text()
        file.write_text(good + "nonsense: 1\n")
        balancer.signal(signal.SIGHUP)
        programs.wait_until(lambda: self.total(self.scrape(), "txlb_reloads_total", result="failed") == 1, "a failure")
        self.assertEqual((hashed(), self.total(self.scrape(), "txlb_reload_last_successful")), (before, 0))
        file.write_text(good.replace("5s", "6s"))
        balancer.signal(signal.SIGHUP)
        programs.wait_until(lambda: self.total(self.scrape(), "txlb_reloads_total", result="ok") == 1, "a success")
        self.assertNotEqual(hashed(), before)
        self.assertEqual(self.total(self.scrape(), "txlb_reload_last_successful"), 1)

    def _file(self, balancer: programs.Program) -> Path:
        arguments = balancer.process.args
        assert isinstance(arguments, list)
        return Path(arguments[-1])

    def test_dashboard(self) -> None:
        """The Grafana dashboard is JSON, asks for metrics that there are only, and for every panel says what and in which unit."""
        self.start(self.with_admin() + f"access_log: {{file: {self.log}}}\n")
        there = set(re.findall(r"^# TYPE (\w+)", self.scrape(), re.MULTILINE))
        board = json.loads((CONTRIB / "grafana" / "txlb.json").read_text())
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        self.assertGreater(len(panels), 10)
        self.assertEqual(len({panel["id"] for panel in board["panels"]}), len(board["panels"]))
        self.assertLessEqual({"pool", "listener"}, {variable["name"] for variable in board["templating"]["list"]})
        for panel in panels:
            self.assertTrue(
                panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            )
            for target in panel["targets"]:
                for name in re.findall(r"\b(?:txlb|process)_\w+", target["expr"]):
                    family = re.sub(r"_(bucket|sum|count)$", "", name)
                    self.assertTrue({name, family} & there, f"{panel['title']}: {name}")


class AccessLogTests(Operated):
    """The access log of a real process."""

    def test_rotation_under_load(self) -> None:
        """However often the log is moved away while clients come, each connection is one whole line in one of the files."""
        balancer = self.start(f"access_log: {{file: {self.log}}}\n")
        moved: list[Path] = []
        with Clients(self.listen) as clients:
            for number in range(5):
                programs.wait_until(
                    lambda number=number: clients.done > 30 * number or bool(clients.errors),
                    "clients",  # type: ignore[misc]
                )
                moved.append(self.log.rename(self.log.with_suffix(f".{number}")))
                balancer.signal(signal.SIGUSR1)
                programs.wait_until(self.log.exists, "a new log")
        self.assertEqual(clients.errors, [])
        balancer.signal(signal.SIGTERM)
        self.assertEqual(balancer.wait(), 0)
        self.assertEqual(len(self.logged(*moved, self.log)), clients.done)

    def test_logrotate(self) -> None:
        """logrotate, with the file that comes with txlb, moves the log and has the balancer go on in a new one."""
        logrotate = programs.find("logrotate")
        balancer = self.start(f"access_log: {{file: {self.log}}}\n")
        say(self.listen)
        programs.wait_until(lambda: bool(self.log.read_text()), "a line")
        rules = (CONTRIB / "logrotate" / "txlb").read_text().replace("/var/log/txlb/access.log", str(self.log))
        rules = re.sub(r"/bin/systemctl .*", f"kill -USR1 {balancer.pid}", rules)
        file, state = self.place / "rules", self.place / "state"
        file.write_text(rules)
        file.chmod(0o644)
        programs.run([logrotate, "--force", "--state", str(state), str(file)])
        programs.wait_until(self.log.exists, "a new log")
        say(self.listen)
        balancer.signal(signal.SIGTERM)
        balancer.wait()
        self.assertEqual([len(self.logged(path)) for path in (self.log.with_suffix(".log.1"), self.log)], [1, 1])

    def test_signal_without_a_log(self) -> None:
        """SIGUSR1 harms nobody where no log is written."""
        balancer = self.start()
        balancer.signal(signal.SIGUSR1)
        balancer.wait_for_output("Reopened")
        self.assertEqual(say(self.listen), b"hello")

    def test_ordinary_log(self) -> None:
        """Without a file the lines are in the ordinary log."""
        balancer = self.start("access_log: {format: '{pool}/{backend} {outcome} {bytes_in}'}\n")
        say(self.listen)
        balancer.wait_for_output(rf"echoes/tcp:127\.0\.0\.1:{self.echo} ok 5\n")

    def test_full_disk(self) -> None:
        """On a full disk clients are served, one line tells of it, and the lines that are lost are counted."""
        balancer = self.start(self.with_admin() + "access_log: {file: /dev/full}\n")
        for _ in range(3):
            self.assertEqual(say(self.listen), b"hello")
        balancer.wait_for_output("/dev/full cannot be written: No space left on device")
        programs.wait_until(
            lambda: self.total(self.scrape(), "txlb_access_log_lost_lines_total") == 3, "three lines to be lost"
        )

    def test_simulate(self) -> None:
        """`txlb simulate` plays the log of a real balancer."""
        balancer = self.start(f"access_log: {{file: {self.log}}}\n")
        for _ in range(5):
            say(self.listen)
        balancer.signal(signal.SIGTERM)
        balancer.wait()
        file = self.place / "config.yaml"
        file.write_text(self.config())
        command = [sys.executable, "-m", "txlb", "simulate", str(file), "--trace", str(self.log), "--json"]
        said = programs.run(command, cwd=str(programs.ROOT))
        self.assertIn("round-robin", said.stdout)


class SystemdTests(Operated):
    """What systemd does, done here without it where possible."""

    def test_socket_activation(self) -> None:
        """A socket that somebody else bound is served by either engine, and who came before txlb ran waited."""
        bind = (
            "import os, socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); os.dup2(s.fileno(), 3); os.set_inheritable(3, True);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='web', LISTEN_PID=str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
        )
        file = self.place / "config.yaml"
        for engine, which in (("epoll", "index=0"), ("reactor", "name=web")):
            listen = f'listen: "systemd:domain=INET:{which}", engine: {engine}'
            file.write_text(self.config().replace(f'listen: "tcp:{self.listen}:interface=127.0.0.1"', listen))
            command = [sys.executable, "-c", bind, str(self.listen)]
            command += programs.twist_command("txlb", "--config", str(file))
            environment = {"PYTHONPATH": str(programs.ROOT)}
            balancer = programs.start(self, command, [self.listen], self.place, environment)
            self.assertEqual(say(self.listen), b"hello")
            self.assertIn(f"engine {engine}", balancer.output())
            balancer.signal(signal.SIGTERM)
            self.assertEqual(balancer.wait(), 0)

    def test_unit(self) -> None:
        """systemd finds nothing wrong with the unit, and calls what it may do to the machine OK."""
        analyze = programs.find("systemd-analyze")
        unit = self.place / "txlb.service"
        text = (CONTRIB / "systemd" / "txlb.service").read_text()
        unit.write_text(re.sub(r"/usr/bin/(txlb|twist)", shutil.which("true") or "/bin/true", text))
        said = programs.run([analyze, "verify", str(unit)])
        self.assertEqual((said.stdout, said.stderr), ("", ""))
        try:
            said = programs.run([analyze, "security", "--offline=true", "--threshold=20", str(unit)])
        except ChildProcessError as error:
            if "unrecognized option" in str(error):
                raise SkipTest("systemd-analyze is too old for --offline") from None
            raise
        self.assertIn("OK", said.stdout.splitlines()[-1])


class PageTests(SynchronousTestCase):
    """What the pages for operators say."""

    def test_configurations(self) -> None:
        """Every whole configuration on them is one."""
        pages = [(programs.ROOT / "docs" / name).read_text() for name in ("operations.md", "coming-from.md")]
        blocks = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
        whole = [block for block in blocks if "\npools:" in block]
        self.assertTrue(whole)
        for block in whole:
            self.assertEqual(parse(block).warnings, ())

    def test_commands(self) -> None:
        """Every command of txlb on them is one."""
        pages = [(programs.ROOT / "docs" / name).read_text() for name in ("operations.md", "coming-from.md")]
        named = {name for page in pages for name in re.findall(r"`txlb ([a-z]+)", page)}
        self.assertLessEqual(named, set(COMMANDS))
