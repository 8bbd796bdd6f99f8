"""Who may be picked, and with what weight: the one place where the axes of a state meet.

Eligible: ready, not down (unknown counts as up), not ejected, still in the pool.
Offered: eligible and of weight above 0; backups only while no primary is. When fewer than the panic threshold of a
tier's ready backends are eligible, checks are more likely wrong than so many servers, and all of them are offered that
the operator left ready.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from attrs import frozen

from txlb.model.backend import Backend
from txlb.model.states import AdminState, HealthState, OutlierState

SCALE = 100
"""An effective weight of 100 stands for a configured one of 1."""

SLOW_START_FROM = 0.1
"""The share of its weight with which a recovered backend begins."""


def is_eligible(backend: Backend) -> bool:
    """Whether its three axes let it take new connections."""
    return (
        backend.present
        and backend.admin is AdminState.READY
        and backend.counter.state is not HealthState.DOWN
        and backend.outlier is OutlierState.OK
    )


def effective_weight(backend: Backend, now: float, slow_start: float) -> int:
    """The configured weight or the operator's, scaled, and growing linearly for `slow_start` seconds after a recovery."""
    full = SCALE * (backend.spec.weight if backend.weight_override is None else backend.weight_override)
    if not is_warming(backend, now, slow_start) or backend.recovered_at is None:
        return full
    share = SLOW_START_FROM + (1 - SLOW_START_FROM) * max(0.0, now - backend.recovered_at) / slow_start
    return round(full * share)


def is_warming(backend: Backend, now: float, slow_start: float) -> bool:
    """Whether it recovered so lately that its weight still grows."""
    return backend.recovered_at is not None and now - backend.recovered_at < slow_start


@frozen
class Offer:
    """What strategies may choose from, ordered by name. `eligible` of `total` ready backends of the tier led to it."""

    backends: tuple[Backend, ...]
    panic: bool
    eligible: int
    total: int


def offer(backends: Iterable[Backend], panic_threshold: int) -> Offer:
    """The offer of these backends, which come ordered by name."""
    primaries: list[Backend] = []
    backups: list[Backend] = []
    for backend in backends:
        if backend.effective_weight and backend.present and backend.admin is AdminState.READY:
            (backups if backend.spec.backup else primaries).append(backend)
    tier = primaries
    eligible = [backend for backend in tier if backend.eligible]
    if not eligible and backups:
        eligible_backups = [backend for backend in backups if backend.eligible]
        if eligible_backups or not primaries:
            tier, eligible = backups, eligible_backups
    panic = len(eligible) * 100 < panic_threshold * len(tier)
    return Offer(tuple(tier if panic else eligible), panic, len(eligible), len(tier))


def backups(backends: Iterable[Backend]) -> list[Backend]:
    """Those that may take connections where the primaries cannot."""
    return [b for b in backends if b.spec.backup and b.eligible and b.effective_weight]


def spares(backends: Iterable[Backend], exclude: Container[Backend]) -> list[Backend]:
    """Eligible backups with room, the least loaded for its weight first."""
    found = [b for b in backups(backends) if b.active < b.limit and b not in exclude]
    return sorted(found, key=lambda b: (b.active / b.effective_weight, b.name))
