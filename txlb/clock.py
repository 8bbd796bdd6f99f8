"""A clock that never jumps.

Twisted's reactor tells the time of day, which an operator or NTP may set; timeouts and measured times need one that only
goes forward.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
@frozen
class SteadyClock:
    """The reactor's delayed calls with the monotonic clock's seconds."""

    reactor: IReactorTime

    seconds = staticmethod(time.monotonic)  # no call in between: every connection asks several times

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:
        return self.reactor.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        return self.reactor.getDelayedCalls()
