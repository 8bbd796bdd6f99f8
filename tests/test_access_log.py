"""Tests for `txlb.access_log`: lines, the file, and the two together."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from txlb.access_log import AccessLog, check_format, lines
from txlb.access_log.log import LONGEST_WAIT, MOST_WAITING
from txlb.access_log.log_file import COMPLAIN_EVERY
from txlb.events import AccessLogLost, ConnectionClosed, EventBus
from txlb.interfaces import Outcome
from txlb.simulate.trace import read_trace
from txlb.specs import AccessLogSpec

EVENT = ConnectionClosed(
    listener="web",
    pool="echoes",
    backend="green",
    strategy="round-robin",
    client_host="192.0.2.7",
    client_port=40001,
    outcome=Outcome.OK,
    reason="",
    tries=2,
    bytes_in=10,
    bytes_out=20,
    started=1767225599.9996,
    connect=0.0015,
    first_byte=None,
    duration=2.5,
)


class LineTests(SynchronousTestCase):
    """An event to a line."""

    def test_json(self) -> None:
        """Every documented field, with its type, in its order; milliseconds are cut, never rounded into another second."""
        line = lines.json_line(EVENT)
        self.assertEqual(
            list(json.loads(line).items()),
            list(
                {
                    "time": "2025-12-31T23:59:59.999Z",
                    "client": "192.0.2.7",
                    "client_port": 40001,
                    "listener": "web",
                    "pool": "echoes",
                    "backend": "green",
                    "strategy": "round-robin",
                    "tries": 2,
                    "bytes_in": 10,
                    "bytes_out": 20,
                    "connect": 0.0015,
                    "first_byte": None,
                    "duration": 2.5,
                    "outcome": "ok",
                    "reason": "",
                    "blame": "nobody",
                }.items()
            ),
        )
        self.assertTrue(line.endswith("}\n"))

    def test_every_outcome_has_blame(self) -> None:
        """Whatever the outcome, somebody or nobody is to blame."""
        for outcome in Outcome:
            record = json.loads(lines.json_line(evolve(EVENT, outcome=outcome)))
            self.assertEqual(record["outcome"], outcome.value)
            self.assertIn(record["blame"], ("client", "backend", "balancer", "nobody"))
        self.assertEqual(set(lines.BLAME), set(Outcome))

    def test_template(self) -> None:
        """A template is filled in; what is missing is a dash, doubled braces and percent signs stay."""
        make = lines.line_maker(
            "{client} {pool}/{backend} {outcome} {bytes_in} {duration_ms} {first_byte} {reason} 5% {{}}"
        )
        self.assertEqual(make(EVENT), "192.0.2.7 echoes/green ok 10 2500.000 - - 5% {}\n")

    def test_json_fields_in_templates(self) -> None:
        """A template may name every field that the JSON has, and shows the same."""
        event = evolve(EVENT, reason="why")
        for name, value in json.loads(lines.json_line(event)).items():
            shown = lines.line_maker(f"{{{name}}}")(event)[:-1]
            if isinstance(value, float):
                self.assertEqual(float(shown), value)
            else:
                self.assertEqual(shown, "-" if value is None else str(value))

    def test_documented(self) -> None:
        """docs/access-log.md names every field and every outcome with who is to blame for it."""
        page = (Path(__file__).parents[1] / "docs" / "access-log.md").read_text(encoding="utf-8")
        for name in lines.FIELDS:
            self.assertIn(f"`{name}`", page)
        rows = [row.split("|") for row in page.splitlines() if row.startswith("| `")]
        for outcome, blame in lines.BLAME.items():
            found = [row[2].strip() for row in rows if f"`{outcome.value}`" in row[1]]
            self.assertEqual(found, [blame], outcome)

    def test_wrong_templates(self) -> None:
        """What cannot be a format is told with what there is instead."""
        for format, said in (
            ("{clinet}", "there is no field 'clinet'; there are time, client"),
            ("jsn", "names no field"),
            ("", "names no field"),
            ("{client!r}", "no conversion"),
            ("{client:>20}", "no format of its own"),
            ("{client.host}", "there is no field 'client.host'"),
            ("{}", "there is no field ''"),
            ("{client}\n{pool}", "on one line"),
            ("{client}\x1b[2J", "printable"),
            ("{client", "expected '}'"),
        ):
            self.assertIn(said, check_format(format) or "", format)
        self.assertIsNone(check_format("json"))
        self.assertIsNone(check_format("{client}\t{outcome} été"))

    @settings(max_examples=200, deadline=None, database=None)
    @given(st.text(alphabet=st.characters(), max_size=30), st.text(max_size=30))
    def test_nothing_is_injected(self, name: str, reason: str) -> None:
        """Whatever a name or a reason holds (line ends, quotes, escape sequences, lone surrogates), the line is one
        line of printable ASCII, and its JSON says the same as the event."""
        event = evolve(EVENT, backend=name, reason=reason)
        for make in (lines.json_line, lines.line_maker('"{backend}" {reason}')):
            line = make(event)
            self.assertTrue(line[:-1].isascii() and line[:-1].isprintable(), line)
            self.assertEqual(line.count("\n"), 1)
        record = json.loads(lines.json_line(event))
        self.assertEqual((record["backend"], record["reason"]), (name, reason))

    def test_surrogates(self) -> None:
        """Bytes that were no UTF-8 when they were read do not stop the line."""
        name = b"caf\xe9".decode("utf-8", "surrogateescape")
        self.assertEqual(json.loads(lines.json_line(evolve(EVENT, backend=name)))["backend"], name)

    def test_trace(self) -> None:
        """`txlb simulate` reads what is written here."""
        path = self.mktemp()
        events = [evolve(EVENT, started=1000.25 + n, client_host=f"192.0.2.{n}", duration=n + 0.5) for n in (1, 0)]
        Path(path).write_text("".join(map(lines.json_line, events)))
        workload = read_trace(path)
        self.assertEqual(list(workload.times), [0.0, 1.0])
        self.assertEqual(list(workload.work), [0.5, 1.5])
        self.assertEqual([client.host for client in workload.clients], ["192.0.2.0", "192.0.2.1"])


class LogTests(SynchronousTestCase):
    """The log as a whole, on a clock of its own and a real file."""

    def setUp(self) -> None:
        """A log that is off."""
        self.clock, self.bus, self.lost = Clock(), EventBus(), []
        self.bus.subscribe(AccessLogLost, self.lost.append)
        self.log = AccessLog(self.bus, self.clock)
        self.path = Path(self.mktemp())
        self.said: list[str] = []
        globalLogPublisher.addObserver(self._hear)
        self.addCleanup(globalLogPublisher.removeObserver, self._hear)

    def _hear(self, event: dict[str, Any]) -> None:
        if str(event.get("log_namespace", "")).startswith("txlb.access_log"):
            self.said.append(event["log_format"].format(**event))

    def on(self, format: str = "{client_port}", path: Path | None = None) -> None:
        """Switch it on."""
        self.log.configure(AccessLogSpec(str(path or self.path), format))

    def close(self, *ports: int) -> None:
        """Connections end, each known by its client's port."""
        for port in ports:
            self.bus.publish(evolve(EVENT, client_port=port))

    def written(self, path: Path | None = None) -> list[str]:
        """The lines in the file."""
        file = path or self.path
        return file.read_text().splitlines() if file.exists() else []

    def test_off_costs_nothing(self) -> None:
        """Nobody makes events while there is no log, before and after; the file is there from the start of it."""
        self.assertFalse(self.bus.wants(ConnectionClosed))
        self.on()
        self.assertTrue(self.bus.wants(ConnectionClosed))
        self.assertTrue(self.path.exists())
        self.log.configure(None)
        self.assertFalse(self.bus.wants(ConnectionClosed))

    def test_written_within_a_second(self) -> None:
        """Lines wait for one write, a second at most; no timer runs while there is none."""
        self.on()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.close(1, 2)
        self.assertEqual(self.written(), [])
        self.clock.advance(LONGEST_WAIT)
        self.assertEqual(self.written(), ["1", "2"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_write_of_whole_lines(self) -> None:
        """Many do not wait for the second, and are one write of some 60 KiB."""
        self.on("json")
        writes: list[bytes] = []
        with patch("os.write", lambda fd, data: writes.append(bytes(data)) or len(data)):
            while not writes:
                self.close(7)
        self.assertEqual(len(writes), 1)
        self.assertEqual(writes[0].count(b"\n"), MOST_WAITING)
        self.assertTrue(48 * 1024 < len(writes[0]) < 64 * 1024)
        self.assertTrue(writes[0].endswith(b"}\n"))
        self.log.stop()

    def test_stop_writes_what_waits(self) -> None:
        """The last lines are not lost, and nothing is left running."""
        self.on()
        self.close(1)
        self.log.stop()
        self.assertEqual(self.written(), ["1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.close(2)
        self.assertEqual(self.written(), ["1"])

    def test_rotation(self) -> None:
        """What waited goes to the old file, what follows to a new one, and the old one is closed."""
        self.on()
        self.close(1)
        self.clock.advance(LONGEST_WAIT)
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.close(2)
        self.log.reopen()
        self.close(3)
        self.log.stop()
        self.assertEqual((self.written(moved), self.written()), (["1", "2"], ["3"]))

    def test_rotation_that_fails(self) -> None:
        """Where no new file can be opened, the old one serves on, and it is told."""
        self.path.mkdir()
        file = self.path / "log"
        self.on(path=file)
        self.close(1)
        self.clock.advance(LONGEST_WAIT)
        moved = self.path.rename(self.path.with_suffix(".gone"))
        self.log.reopen()
        self.close(2)
        self.log.stop()
        self.assertEqual(self.written(moved / "log"), ["1", "2"])
        self.assertIn("No such file", self.said[0])

    def test_reload(self) -> None:
        """Another format goes to the same file, another file closes the first one, the same spec changes nothing."""
        self.on()
        self.close(1)
        self.on("{client_port} {outcome}")
        self.close(2)
        other = Path(self.mktemp())
        self.on(path=other)
        self.assertEqual(self.written(), ["1", "2 ok"])
        self.close(3)
        self.on(path=other)
        self.log.stop()
        self.assertEqual((self.written(), self.written(other)), (["1", "2 ok"], ["3"]))

    def test_wrong_format_changes_nothing(self) -> None:
        """A format that slipped through raises, and the old log goes on."""
        self.on()
        self.assertRaises(ValueError, self.on, "{nothing}")
        self.close(1)
        self.log.stop()
        self.assertEqual(self.written(), ["1"])

    def test_ordinary_log(self) -> None:
        """Without a file each line is one of the ordinary log, at once, and braces in it are no format."""
        self.log.configure(AccessLogSpec(None, "{{client_port}} {client_port}"))
        self.close(1)
        self.assertEqual(self.said, ["{client_port} 1"])
        self.log.reopen()
        self.log.stop()

    def test_full_disk(self) -> None:
        """Lines are lost and counted, never raised or kept; one line of the ordinary log a minute says so, and one that
        it is over."""
        self.on()
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with patch("os.write", side_effect=full):
            for port in range(90):
                self.close(port, port)
                self.clock.advance(LONGEST_WAIT)
        self.assertEqual(sum(event.lines for event in self.lost), 180)
        self.assertEqual({event.reason for event in self.lost}, {"No space left on device"})
        self.assertEqual(len(self.said), 2)
        self.assertIn("2 lines lost so far", self.said[0])
        self.assertIn(f"{2 * int(COMPLAIN_EVERY) + 2} lines lost so far", self.said[1])
        self.close(5)
        self.clock.advance(LONGEST_WAIT)
        self.assertEqual(self.written(), ["5"])
        self.assertIn("180 lines were lost", self.said[2])
        self.log.stop()

    def test_torn_line(self) -> None:
        """A write that ends within a line loses the rest, and the next one begins on a line of its own."""
        self.on("{client_port} {listener}")
        self.close(1, 2, 3)
        write, left = os.write, [8]

        def little(fd: int, data: bytes) -> int:
            if not left:
                raise OSError(errno.ENOSPC, "full")
            return write(fd, data[: left.pop()])

        with patch("os.write", little):
            self.clock.advance(LONGEST_WAIT)
            self.close(4)
            self.clock.advance(LONGEST_WAIT)
        self.close(5)
        self.log.stop()
        self.assertEqual(self.written(), ["1 web", "2 ", "5 web"])
        self.assertEqual([event.lines for event in self.lost], [2, 1])

    def test_unwritable(self) -> None:
        """A file that cannot be opened costs its lines, and is tried again."""
        folder = Path(self.mktemp())
        self.on(path=folder / "log")
        self.close(1)
        self.clock.advance(LONGEST_WAIT)
        folder.mkdir()
        self.close(2)
        self.log.stop()
        self.assertEqual(self.written(folder / "log"), ["2"])
        self.assertEqual([event.lines for event in self.lost], [1])

    def test_pipe_without_reader(self) -> None:
        """A pipe that nobody reads from does not stop the reactor."""
        os.mkfifo(self.path)
        self.on()
        self.close(1)
        self.clock.advance(LONGEST_WAIT)
        self.assertEqual([event.lines for event in self.lost], [1])
        self.log.stop()

    def test_two_writers(self) -> None:
        """Two processes' worth of logs share a file, and no line is broken."""
        other = AccessLog(self.bus, self.clock)
        self.on("json")
        other.configure(AccessLogSpec(str(self.path), "json"))
        self.close(*range(1000))
        self.log.stop()
        other.stop()
        self.assertEqual(sorted(json.loads(line)["client_port"] for line in self.written()), sorted([*range(1000)] * 2))
