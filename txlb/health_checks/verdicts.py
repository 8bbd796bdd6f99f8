"""What one probe found, and how the ways in which a check can fail are told apart.

A negative verdict is about the backend. Two other ends are not, and cost the probe only: *local* trouble (this process
has no descriptor or no port left), and a *broken* check, which raised something that is no verdict or answered
nonsense.
"""

from __future__ import annotations

import errno
from enum import Enum

from attrs import frozen
from twisted.internet import error
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.python.failure import Failure
from twisted.python.reflect import safe_repr, safe_str

from txlb.errors import CheckFailed

LOCAL_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EAGAIN})
"""Errors of ours. EAGAIN is a UNIX socket with a full backlog: busy, which is no reason to call it down."""

_UNREACHABLE = (
    error.ConnectError,
    error.ConnectionClosed,
    error.DNSLookupError,
    error.TimeoutError,
    DeferredTimeout,
    ConnectionError,
)
_WORDS = {
    error.ConnectionRefusedError: "connection refused",
    error.NoRouteError: "no route to host",
    error.DNSLookupError: "name not found",
    error.UnknownHostError: "name not found",
    error.ConnectionLost: "connection lost",
    error.ConnectionDone: "connection closed",
    error.TimeoutError: "timed out",
    error.TCPTimedOutError: "timed out",
}
_LONGEST = 200


class Kind(Enum):
    """OK and FAILED are about the backend; LOCAL and BROKEN say nothing of it."""

    OK = "ok"
    FAILED = "failed"
    LOCAL = "local"
    BROKEN = "broken"


@frozen
class Verdict:
    """The end of one probe. `failure` is kept where its traceback is wanted in the log."""

    kind: Kind
    reason: str
    failure: Failure | None = None


def verdict_of_answer(answer: object) -> Verdict:
    """A check answers with a few words; anything else is no answer."""
    if isinstance(answer, str):
        return Verdict(Kind.OK, one_line(answer))
    return Verdict(Kind.BROKEN, f"answered {one_line(safe_repr(answer))} instead of a few words")


def verdict_of_failure(failure: Failure) -> Verdict:
    """Tell a bad backend from our own trouble and from a bad check."""
    problem = failure.value
    if isinstance(problem, CheckFailed):
        return Verdict(Kind.FAILED, one_line(safe_str(problem)) or "failed")
    if is_local(problem):
        return Verdict(Kind.LOCAL, one_line(str(problem)))
    if isinstance(problem, _UNREACHABLE):
        return Verdict(Kind.FAILED, network_words(problem))
    return Verdict(Kind.BROKEN, one_line(f"{type(problem).__name__}: {safe_str(problem)}"), failure)


def is_local(problem: BaseException | None) -> bool:
    """Whether this error is ours and not the backend's."""
    number = getattr(problem, "osError", None) or getattr(problem, "errno", None)
    return number in LOCAL_ERRORS


def network_words(problem: BaseException | None) -> str:
    """A network error in a few words."""
    return _WORDS.get(type(problem)) or one_line(str(problem)) or type(problem).__name__


def one_line(text: str) -> str:
    """Printable, on one line, of bounded length: reasons may quote what a backend sent."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * _LONGEST])
    shown = " ".join(shown.split())
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"
