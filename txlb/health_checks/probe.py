"""One run of a check, contained: it ends exactly once, whatever the check does or does not do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb.health_checks.verdicts import Kind, Verdict, verdict_of_answer, verdict_of_failure
from txlb.units import format_duration

log = Logger()


class Probe:
    """Ends with a call of `ended(verdict)`, or silently by `cancel`. What a check says after its end is not heard."""

    def __init__(self, clock: IReactorTime, timeout: float, ended: Callable[[Verdict], None]) -> None:
        self._clock = clock
        self._timeout = timeout
        self._ended = ended
        self._answer: Deferred[Any] | None = None
        self._timer: Any = None
        self._over = False
        self._late: Verdict | None = None

    def start(self, ask: Callable[[str], Any], connect: str) -> None:
        """`ask(connect)` as a check is asked; may end before this returns."""
        self._timer = self._clock.callLater(self._timeout, self._timed_out)
        try:
            answer = ask(connect)
        except BaseException:  # sys.exit() is no Exception
            self._end(verdict_of_failure(Failure()))
            return
        if inspect.iscoroutine(answer):
            answer = Deferred.fromCoroutine(answer)
        if not isinstance(answer, Deferred):
            self._end(verdict_of_answer(answer) if not isinstance(answer, str) else _no_deferred(answer))
            return
        self._answer = answer
        answer.addCallbacks(lambda said: self._heard(verdict_of_answer(said)), self._failed)

    def cancel(self) -> None:
        """End without a verdict; nothing is held afterwards."""
        if not self._over:
            self._over = True
            self._timer.cancel()
            self._let_go()

    def _failed(self, failure: Failure) -> None:
        self._heard(verdict_of_failure(failure))

    def _heard(self, verdict: Verdict) -> None:
        if self._over:
            self._late = verdict
        else:
            self._end(verdict)

    def _timed_out(self) -> None:
        """A check that knows more at its cancellation (what it waited for, an exit status) is believed."""
        self._over = True
        self._let_go()
        late = self._late
        if late is None or late.kind not in (Kind.OK, Kind.FAILED):
            late = Verdict(Kind.FAILED, f"timed out after {format_duration(self._timeout)}")
        self._ended(late)

    def _let_go(self) -> None:
        if self._answer is not None:
            try:
                self._answer.cancel()
            except BaseException:
                log.failure("A health check's canceller failed")

    def _end(self, verdict: Verdict) -> None:
        self._over = True
        if self._timer.active():
            self._timer.cancel()
        self._ended(verdict)


def _no_deferred(answer: str) -> Verdict:
    return Verdict(Kind.BROKEN, f"returned {answer[:60]!r} instead of a Deferred")
