"""Tests for `txlb.health_checks.probe` and the verdicts: whatever a check does, its probe ends exactly once."""

import errno
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.errors import CheckFailed
from txlb.health_checks.probe import Probe
from txlb.health_checks.verdicts import Kind, one_line


class ProbeTests(SynchronousTestCase):
    """One probe, contained."""

    def run_probe(self, answer: Any, advance: float = 2.0) -> list[tuple[Kind, str]]:
        """The verdicts of a probe of 1 s; no timer may be left."""
        clock, ends = Clock(), []
        Probe(clock, 1.0, lambda verdict: ends.append((verdict.kind, verdict.reason))).start(answer, "tcp:a:1")
        clock.advance(advance)
        self.assertEqual(clock.getDelayedCalls(), [])
        return ends

    def test_answers(self) -> None:
        """Words are a good verdict, CheckFailed and network errors a bad one, with the reason in words."""

        async def coroutine(_: str) -> str:
            return "fine"

        for answer, expected in [
            (lambda c: succeed("connected"), (Kind.OK, "connected")),
            (coroutine, (Kind.OK, "fine")),
            (lambda c: fail(CheckFailed("status 503")), (Kind.FAILED, "status 503")),
            (lambda c: fail(error.ConnectionRefusedError(errno.ECONNREFUSED)), (Kind.FAILED, "connection refused")),
            (lambda c: fail(error.DNSLookupError("x")), (Kind.FAILED, "name not found")),
        ]:
            self.assertEqual(self.run_probe(answer), [expected])

    def test_raises_check_failed(self) -> None:
        """A check may raise its verdict instead of returning a failed Deferred."""

        def answer(_: str) -> Any:
            raise CheckFailed("no")

        self.assertEqual(self.run_probe(answer), [(Kind.FAILED, "no")])

    def test_local_trouble_is_no_verdict(self) -> None:
        """Without a descriptor or a port nothing is known about the backend."""
        for number in (errno.EMFILE, errno.EADDRNOTAVAIL):
            for trouble in (error.ConnectBindError(number, "none left"), OSError(number, "none left")):
                [(kind, _)] = self.run_probe(lambda c, trouble=trouble: fail(trouble))
                self.assertIs(kind, Kind.LOCAL)

    def test_broken(self) -> None:
        """Raising something else, or answering with something else than words, is the check's own fault."""

        def raises(_: str) -> Any:
            raise KeyError("oops")

        for answer in (raises, lambda c: succeed(True), lambda c: None, lambda c: "words", lambda c: fail(KeyError())):
            [(kind, _)] = self.run_probe(answer)
            self.assertIs(kind, Kind.BROKEN)

    def test_timeout_cancels(self) -> None:
        """A silent check is cancelled at the timeout, and that is a bad verdict."""
        cancelled: list[Any] = []
        ends = self.run_probe(lambda c: Deferred(cancelled.append))
        self.assertEqual(ends, [(Kind.FAILED, "timed out after 1s")])
        self.assertEqual(len(cancelled), 1)

    def test_deaf_canceller(self) -> None:
        """A check that swallows its cancellation and waits on costs no more than the timeout."""

        def answer(_: str) -> Deferred[str]:
            return Deferred().addErrback(lambda _: Deferred())  # type: ignore[arg-type]

        self.assertEqual(self.run_probe(answer), [(Kind.FAILED, "timed out after 1s")])

    def test_raising_canceller(self) -> None:
        """A canceller that raises is logged, and the probe ends all the same."""

        def canceller(_: Any) -> None:
            raise KeyError("canceller")

        self.assertEqual(self.run_probe(lambda c: Deferred(canceller)), [(Kind.FAILED, "timed out after 1s")])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_knows_more_when_cancelled(self) -> None:
        """What a check tells at its cancellation is the better reason."""

        def answer(_: str) -> Deferred[str]:
            return Deferred(lambda d: d.errback(CheckFailed("timed out after b'220'")))

        self.assertEqual(self.run_probe(answer), [(Kind.FAILED, "timed out after b'220'")])

    def test_late_answer(self) -> None:
        """An answer that comes after the end is not heard."""
        clock, ends = Clock(), []
        inner: Deferred[str] = Deferred()
        probe = Probe(clock, 1.0, ends.append)
        probe.start(lambda c: inner.addErrback(lambda _: None), "tcp:a:1")
        clock.advance(1)
        self.assertEqual(len(ends), 1)

    def test_cancel(self) -> None:
        """A cancelled probe says nothing and holds nothing; cancelling again does nothing."""
        clock, ends, cancelled = Clock(), [], []
        probe = Probe(clock, 1.0, ends.append)
        probe.start(lambda c: Deferred(cancelled.append), "tcp:a:1")
        probe.cancel()
        probe.cancel()
        self.assertEqual((ends, len(cancelled), clock.getDelayedCalls()), ([], 1, []))

    def test_one_line(self) -> None:
        """Reasons may quote a backend: they are made printable, one line, and bounded."""
        self.assertEqual(one_line("a\r\nb\x1b[31m"), "a b [31m")
        self.assertEqual(len(one_line("x" * 10_000)), 200)
