"""`txlb upgrade`, as far as it needs no balancer; `tests.integration.test_upgrade` has one."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txlb.cli import main, upgrade
from txlb.cli.upgrade import catches


class Signalling(SynchronousTestCase):
    """A signal that ends a process which does not expect it."""

    def setUp(self) -> None:
        self.killed: list[tuple[int, int]] = []
        self.patch(upgrade.os, "kill", lambda pid, number: self.killed.append((pid, number)))

    def test_mask(self) -> None:
        """The kernel tells which signals a process handles; USR2 is the twelfth."""
        self.assertTrue(catches("Name:\tx\nSigCgt:\t0000000000000800\n", signal.SIGUSR2))
        self.assertFalse(catches("Name:\tx\nSigCgt:\t0000000000000400\n", signal.SIGUSR2))
        self.assertFalse(catches("Name:\tx\n", signal.SIGUSR2))

    def test_a_process_that_expects_none(self) -> None:
        """Nothing is sent to it, and the exit code says so."""
        self.patch(upgrade, "catches", lambda status, number: False)
        self.assertEqual(main(["upgrade", "--pid", str(os.getpid())]), 70)
        self.assertEqual(self.killed, [])

    def test_a_process_that_is_not_there(self) -> None:
        """Neither is a number that no process has."""
        self.assertEqual(main(["upgrade", "--pid", str(2**30)]), 70)
        self.assertEqual(self.killed, [])

    def test_a_balancer(self) -> None:
        """One that expects it gets it."""
        self.patch(upgrade, "catches", lambda status, number: True)
        self.assertEqual(main(["upgrade", "--pid", str(os.getpid())]), 0)
        self.assertEqual(self.killed, [(os.getpid(), signal.SIGUSR2)])


class FakeTarget:
    """An admin that answers one state after the other."""

    def __init__(self, *states: tuple[int, int]) -> None:
        self.states = list(states)

    def request(self, method: str, path: str, timeout: float) -> dict[str, Any]:
        pid, failures = self.states.pop(0)
        if not pid:
            raise upgrade.NoAnswer("does not answer")
        return {"pid": pid, "upgrade": {"failures": failures, "reason": "no such file"}}


class Waiting(SynchronousTestCase):
    """How it went."""

    def setUp(self) -> None:
        self.patch(upgrade, "_signal", lambda pid: 0)
        self.patch(upgrade.time, "sleep", lambda seconds: None)

    def upgrade(self, *states: tuple[int, int]) -> int:
        """The exit code, with an admin that says this of (pid, failures)."""
        target: Any = FakeTarget(*states)
        return upgrade._upgrade(target, 5.0)

    def test_success(self) -> None:
        """Another process answers, after a moment in which none does."""
        self.assertEqual(self.upgrade((1, 3), (1, 3), (0, 0), (2, 0)), 0)

    def test_failure(self) -> None:
        """The same process answers that it has failed once more."""
        self.assertEqual(self.upgrade((1, 3), (1, 3), (1, 4)), 70)

    def test_too_long(self) -> None:
        """Nothing changes."""
        clock = iter(range(100))
        self.patch(upgrade.time, "monotonic", lambda: next(clock))
        self.assertEqual(self.upgrade(*[(1, 3)] * 10), 70)
