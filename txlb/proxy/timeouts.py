"""What becomes of a pair in which nothing happens.

Nothing here runs on the way of a byte: each pair is looked at now and then, and what it has moved by then is compared
with what it had moved at the last look.
"""

from __future__ import annotations

from txlb.errors import DialError
from txlb.interfaces import Outcome
from txlb.proxy.pair import CLOSING, REACHING, ProxyPair


def look_at(pair: ProxyPair, now: float) -> None:
    """End what has been quiet for too long."""
    if pair.state == REACHING:
        _look_at_dial(pair, now - pair.dialled)
        return
    quiet = _quiet(pair, now)
    if not quiet:
        return
    timeouts = pair.listener.timeouts
    if pair.state == CLOSING:
        if quiet >= timeouts.linger:
            pair.abort(Outcome.LINGER_TIMEOUT, "what was left could not be delivered")
    elif pair.half_closed:
        if quiet >= timeouts.half_close:
            pair.abort(Outcome.HALF_CLOSE_TIMEOUT, f"no byte for {timeouts.half_close:g} s after one side had ended")
    elif quiet >= timeouts.idle:
        pair.abort(Outcome.IDLE_TIMEOUT, f"no byte for {timeouts.idle:g} s")
    else:
        _find_unseen_reset(pair)


def _look_at_dial(pair: ProxyPair, waited: float) -> None:
    limit = pair.listener.timeouts.connect
    if pair.lease is not None and waited >= limit:
        pair.abandon()
        pair.dial_failed(DialError(Outcome.CONNECT_TIMEOUT, f"no connection within {limit:g} s"))
    elif not pair.client_side.ready and waited >= limit:
        pair.abort(Outcome.IDLE_TIMEOUT, f"no TLS handshake within {limit:g} s")
    else:
        _find_unseen_reset(pair)


def _quiet(pair: ProxyPair, now: float) -> float:
    """Seconds since bytes last moved: were read from either side, or taken by the kernel for either side."""
    mark = pair.bytes_in + pair.bytes_out - sum(pair.engine.unsent(side.transport) for side in pair.sides)
    if mark != pair.mark:
        pair.mark = mark
        pair.since = now
    return now - pair.since


def _find_unseen_reset(pair: ProxyPair) -> None:
    """Where a paused transport hears nothing, ask the kernel; `lost` follows the abort."""
    if pair.linked:
        return
    for side in pair.sides:
        if pair.engine.broken(side.transport):
            side.transport.abortConnection()
            return
