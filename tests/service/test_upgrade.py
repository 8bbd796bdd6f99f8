"""The old process's part in an upgrade, with a new process that is only played."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.service import successor
from txlb.service.inheriting import VARIABLE, inherit
from txlb.service.successor import Luggage, NotUpgraded, Program, Successor, place_of
from txlb.service.upgrade import DONE, IDLE, STARTING, Upgrade, patience

PROGRAM = Program("/usr/bin/python3", ("-m", "twisted", "txlb"), "/srv")


class FakeTransport:
    """Of a channel."""

    lost = False

    def loseConnection(self) -> None:
        self.lost = True


class FakeChannel:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.transport = FakeTransport()

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)


class FakeReactor:
    """Starts nothing, and remembers what it should have started."""

    pid = 42

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.command: list[str] = []
        self.environment: dict[str, str] = {}
        self.said: dict[str, Any] = {}

    def spawnProcess(self, protocol: Any, executable: str, command: list[str], **options: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.protocol, self.command, self.environment = protocol, command, options["env"]
        self.folder, self.descriptors = options["path"], options["childFDs"]
        memory = self.descriptors[int(self.environment[VARIABLE])]
        self.said = json.loads(os.read(memory, 65536))
        return self


class Succeeding(SynchronousTestCase):
    """`Successor`"""

    def setUp(self) -> None:
        self.clock, self.reactor, self.channel = Clock(), FakeReactor(), FakeChannel()
        self.killed: list[tuple[int, int]] = []
        self.patch(successor, "open_channel", self.open_channel)
        self.patch(successor.os, "kill", lambda pid, number: self.killed.append((pid, number)))
        self.successor = Successor(self.reactor, self.clock, 30.0)

    def open_channel(self, reactor: Any, descriptor: int, told: Any, ended: Any) -> FakeChannel:
        """Keep the two ends."""
        self.told, self.channel_ended = told, ended
        return self.channel

    def start(self, sockets: dict[str, list[int]] | None = None) -> None:
        """Start it with these."""
        self.successor.start(PROGRAM, sockets or {}, {"pool": {}})

    def assert_not_upgraded(self, words: str) -> None:
        """It failed for this reason, and waits for nothing any more."""
        failure = self.failureResultOf(self.successor.ready, NotUpgraded)
        self.assertIn(words, failure.getErrorMessage())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_it_gets(self) -> None:
        """The same command in the same folder, standard output and error, the sockets and what was decided."""
        self.start({"tcp:80": [10, 11], "unix:/run/web": [12]})
        self.assertEqual(self.reactor.command, ["/usr/bin/python3", "-m", "twisted", "txlb"])
        self.assertEqual(self.reactor.folder, "/srv")
        said = self.reactor.said
        given = {name: [self.reactor.descriptors[n] for n in numbers] for name, numbers in said["sockets"].items()}
        self.assertEqual(given, {"tcp:80": [10, 11], "unix:/run/web": [12]})
        self.assertEqual(said["decided"], {"pool": {}})
        self.assertEqual([self.reactor.descriptors[n] for n in range(3)], [0, 1, 2])
        self.told({"do": "ready"}, [])
        self.successResultOf(self.successor.ready)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_take_over(self) -> None:
        """What was decided meanwhile is told, and this process may end once it was sent."""
        self.start()
        self.told({"do": "ready"}, [])
        told = self.successor.take_over({"pool": {"late": 1}})
        self.assertEqual(self.channel.told, [{"do": "take", "decided": {"pool": {"late": 1}}}])
        self.assertNoResult(told)
        self.channel_ended()
        self.successResultOf(told)
        self.reactor.protocol.ended("ended with exit code 0")  # much later: no business of an upgrade

    def test_too_late(self) -> None:
        """It is killed when its time is over."""
        self.start()
        self.clock.advance(30)
        self.assert_not_upgraded("not ready within 30 s")
        self.assertEqual(self.killed, [(42, signal.SIGKILL)])
        self.reactor.protocol.ended("was ended by SIGKILL")
        self.channel_ended()

    def test_last_words(self) -> None:
        """It says why it ends; the words may be heard after its end."""
        self.start()
        self.reactor.protocol.ended("ended with exit code 69")
        self.assertNoResult(self.successor.ready)
        self.told({"do": "failed", "why": "cannot listen on tcp:80"}, [])
        self.channel_ended()
        self.assert_not_upgraded("ended with exit code 69 before it was ready: cannot listen on tcp:80")

    def test_no_words(self) -> None:
        """One that ends without a word has written more than this process can know."""
        self.start()
        self.channel_ended()
        self.reactor.protocol.ended("was ended by SIGSEGV")
        self.assert_not_upgraded("was ended by SIGSEGV")

    def test_it_cannot_be_started(self) -> None:
        """The interpreter is gone."""
        self.reactor.error = FileNotFoundError(2, "No such file or directory")
        self.start()
        self.assert_not_upgraded("could not be started")
        self.assertEqual(self.killed, [])

    def test_dismissed(self) -> None:
        """Where this process ends, the new one is asked to."""
        self.start()
        self.successor.dismiss("this process ends")
        self.assert_not_upgraded("this process ends")
        self.assertEqual(self.killed, [(42, signal.SIGTERM)])

    def test_sockets_of_systemd(self) -> None:
        """They are at the places where systemd had put them, and the process is told as systemd tells it."""
        self.patch(successor.os, "environ", {"LISTEN_FDNAMES": "admin:door:web", "WATCHDOG_PID": "1", "PATH": "/bin"})
        self.start({"systemd:domain=INET:name=web": [20], "systemd:domain=INET:index=1": [21], "tcp:80": [22]})
        self.assertEqual([self.reactor.descriptors[n] for n in (4, 5)], [21, 20])
        self.assertEqual(self.reactor.environment["LISTEN_FDS"], "3")
        self.assertNotIn("WATCHDOG_PID", self.reactor.environment)
        self.assertEqual(self.reactor.command[:2], ["/bin/sh", "-c"])
        self.assertEqual(self.reactor.command[3:], ["/usr/bin/python3", "-m", "twisted", "txlb"])
        self.assertEqual(list(self.reactor.said["sockets"]), ["tcp:80"])

    def test_places(self) -> None:
        """By index or by name."""
        self.assertEqual(place_of("systemd:domain=INET:index=2", []), 2)
        self.assertEqual(place_of("systemd:domain=INET:name=b", ["a", "b"]), 1)


class FakeSuccessor(Successor):
    """One that does nothing by itself."""

    def start(self, program: Any, sockets: Any, decided: Any) -> None:
        self.pid = 42
        self.given = (program, sockets, decided)


class Upgrading(SynchronousTestCase):
    """`Upgrade`"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.handed: list[Any] = []
        self.upgrade = Upgrade(
            None, lambda: {"tcp:80": [10]}, lambda: {"pool": {}}, self.handed.append, PROGRAM, FakeSuccessor
        )
        self.upgrade.state = STARTING

    def test_success(self) -> None:
        """The new one is ready, and everything is handed over to it."""
        done = self.upgrade.run(self.clock)
        self.assertEqual(self.upgrade._successor.given, (PROGRAM, {"tcp:80": [10]}, {"pool": {}}))
        self.assertTrue(self.upgrade.under_way)
        self.upgrade._successor._told({"do": "ready"}, [])
        self.successResultOf(done)
        self.assertEqual((self.upgrade.state, [s.pid for s in self.handed]), (DONE, [42]))

    def test_failure(self) -> None:
        """It is told, and another one may follow."""
        done = self.upgrade.run(self.clock)
        self.clock.advance(30)
        self.successResultOf(done)
        self.assertEqual(self.upgrade.facts()["failures"], 1)
        self.assertIn("not ready within 30 s", self.upgrade.facts()["reason"])
        self.assertEqual((self.upgrade.state, self.handed), (IDLE, []))

    def test_cancel(self) -> None:
        """This process is to end, and so is the new one; where there is none nothing happens."""
        done = self.upgrade.run(self.clock)
        self.upgrade.cancel()
        self.successResultOf(done)
        self.upgrade.cancel()
        self.assertEqual((self.upgrade.facts()["reason"], self.handed), ("this process ends", []))

    def test_patience(self) -> None:
        """Half a minute, or what the environment says; nonsense there costs the upgrade, not the process."""
        self.assertEqual(patience({}), 30.0)
        self.assertEqual(patience({"TXLB_UPGRADE_TIMEOUT": "2m"}), 120.0)
        self.assertRaises(ValueError, patience, {"TXLB_UPGRADE_TIMEOUT": "soon"})


class Inheriting(SynchronousTestCase):
    """`inherit`"""

    def test_nothing(self) -> None:
        """A process that takes over from nobody."""
        self.assertIsNone(inherit({}))

    def test_luggage_is_unpacked_once(self) -> None:
        """What one process packs another one finds, and its own children do not."""
        ours, theirs = os.pipe(), os.pipe()
        self.addCleanup(os.close, ours[0])
        self.addCleanup(os.close, theirs[0])
        luggage = Luggage({})
        luggage.pack({}, {"pool": {"overrides": 1}}, ours[1])
        number = luggage.descriptors[int(luggage.environment[VARIABLE])]
        said = json.loads(os.read(number, 65536))
        self.assertEqual(luggage.descriptors[said["channel"]], ours[1])
        self.assertEqual(said["decided"], {"pool": {"overrides": 1}})
        luggage.close()
        self.assertRaises(OSError, os.fstat, number)
        os.close(ours[1])
        os.close(theirs[1])
