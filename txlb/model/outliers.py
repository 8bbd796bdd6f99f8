"""Passive ejection: traffic itself shows that a backend is bad.

Consecutive failures eject it; the n-th ejection in a row lasts n times as long, up to a cap, and each healthy period of
the base length takes one off n. Never more than `max_percent` of a pool is out, and never the last one that could take
connections: a balancer must not turn a bad day into an outage. Local trouble and the client's own doings say nothing
about a backend and are not in `FAILURES`.
"""

from __future__ import annotations

from txlb.interfaces import Outcome
from txlb.model.backend import Backend
from txlb.specs import OutlierSpec

FAILURES = frozenset({Outcome.REFUSED.value, Outcome.CONNECT_TIMEOUT.value, Outcome.RESET_BY_BACKEND.value})
"""Outcomes that speak against a backend, when they come before its first byte."""


def is_bad(spec: OutlierSpec, backend: Backend) -> bool:
    """Whether its failures in a row are enough."""
    return 0 < spec.failures <= backend.failures


def may_eject(spec: OutlierSpec, backend: Backend, ejected: int, available: int, total: int) -> bool:
    """Whether the rest of the pool (`ejected` and `available` of `total`) allows it."""
    return (
        backend.eligible
        and room_for_ejections(spec, total) > ejected
        and available > (1 if backend.effective_weight else 0)
    )


def room_for_ejections(spec: OutlierSpec, total: int) -> int:
    """How many of `total` backends may be out at a time."""
    return total * spec.max_percent // 100


def next_ejection(spec: OutlierSpec, backend: Backend, now: float) -> tuple[int, float]:
    """(which one in a row it is, its seconds), after what healthy time has forgiven."""
    forgiven = int((now - backend.returned_at) / spec.ejection) if spec.ejection > 0 else backend.ejections
    number = max(0, backend.ejections - forgiven) + 1
    return number, min(spec.ejection * number, spec.max_ejection)
