"""Reloads that are asked for faster than they are done."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from txlb.service.signals import Signals
from txlb.service.turns import Shared


class Sharing(SynchronousTestCase):
    """`Shared`"""

    def setUp(self) -> None:
        """Work that the test ends."""
        self.runs: list[Deferred[Any]] = []
        self.lock = DeferredLock()
        self.shared = Shared(self.lock, self.work)

    def work(self) -> Deferred[Any]:
        """One more run."""
        self.runs.append(Deferred())
        return self.runs[-1]

    def test_one_waits(self) -> None:
        """Of any number that ask during a run, none has its result, and all have that of the one run after it."""
        first = self.shared.ask()
        later = [self.shared.ask() for _ in range(200)]
        self.assertEqual(len(self.runs), 1)
        self.runs[0].callback("old")
        self.assertEqual(self.successResultOf(first), "old")
        for asked in later:
            self.assertNoResult(asked)
        self.runs[1].callback("new")
        self.assertEqual({self.successResultOf(asked) for asked in later}, {"new"})
        self.assertEqual(len(self.runs), 2)

    def test_failure(self) -> None:
        """A run that fails does so for all who share it, and the next ask runs again."""
        self.lock.acquire()
        asked = [self.shared.ask(), self.shared.ask()]
        self.assertEqual(self.runs, [])
        self.lock.release()
        self.runs[0].errback(Failure(ValueError("no")))
        for each in asked:
            self.failureResultOf(each, ValueError)
        self.assertNoResult(self.shared.ask())
        self.assertEqual(len(self.runs), 2)

    def test_who_no_longer_waits(self) -> None:
        """One that has given up takes nothing from the others."""
        gone, there = self.shared.ask(), self.shared.ask()
        gone.cancel()
        self.runs[0].callback(None)
        self.runs[1].callback("done")
        self.assertEqual(self.successResultOf(there), "done")
        self.failureResultOf(gone)


class FromThread:
    """A reactor that only collects what is called."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[[], object]) -> None:
        self.calls.append(call)


class Hup(SynchronousTestCase):
    """`Signals`, with a reactor that is busy."""

    def test_storm(self) -> None:
        """Signals that come before the reactor has its turn are one reload; one that comes when the reload has begun is
        another."""
        reactor, reloads = FromThread(), []

        def reload() -> None:
            reloads.append(None)
            if len(reloads) == 1:
                signals._hup(signal.SIGHUP, None)

        signals = Signals(reactor, reload, *[lambda: None] * 3)
        for _ in range(200):
            signals._hup(signal.SIGHUP, None)
        self.assertEqual(len(reactor.calls), 1)
        reactor.calls.pop()()
        self.assertEqual((len(reloads), len(reactor.calls)), (1, 1))
        reactor.calls.pop()()
        self.assertEqual((len(reloads), len(reactor.calls)), (2, 0))
