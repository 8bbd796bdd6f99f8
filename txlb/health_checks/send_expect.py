"""`send-expect`: say a line, look for an answer. For SMTP, Redis, memcached and whatever talks first or answers."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen
from twisted.internet.defer import Deferred
from zope.interface import implementer

from txlb.health_checks.patterns import compile_pattern, unescape
from txlb.health_checks.talk import converse
from txlb.health_checks.verdicts import one_line
from txlb.interfaces import IHealthCheck

_LONGEST_SEND = 16 * 1024


def _pattern(_: Any, attribute: Attribute[Any], value: str) -> None:
    try:
        compile_pattern(value)
    except ValueError as error:
        raise ValueError(str(error), attribute) from None


def _not_too_long(_: Any, attribute: Attribute[Any], value: str) -> None:
    if len(unescape(value)) > _LONGEST_SEND:
        raise ValueError(f"must not be longer than {_LONGEST_SEND} bytes", attribute)


@implementer(IHealthCheck)
@frozen
class SendExpect:
    """The reply is searched as it grows, up to 64 KiB of it."""

    reactor: Any = field(repr=False)
    expect: str = field(
        kw_only=True, validator=_pattern, metadata={"help": "bytes to find in the reply, or /a regular expression/"}
    )
    send: str = field(
        default="",
        kw_only=True,
        validator=_not_too_long,
        metadata={"help": "what to say first; \\r \\n \\xNN are read"},
    )

    def probe(self, connect: str) -> Deferred[str]:
        """Fires with what was found; fails with the reply's beginning."""
        pattern = compile_pattern(self.expect)

        def judge(reply: bytes) -> str | None:
            found = pattern.search(reply)
            return one_line(f"answered {found[0][:60]!r}") if found else None

        return converse(self.reactor, connect, unescape(self.send), judge)
