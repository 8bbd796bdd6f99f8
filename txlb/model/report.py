"""What a pool looks like from outside, as plain data. Read on demand; nothing is prepared on the way of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from txlb.model.backend import Backend
from txlb.model.histogram import Histogram

if TYPE_CHECKING:
    from txlb.model.pool import Pool


def snapshot(pool: Pool) -> dict[str, Any]:
    """The state of one pool as in the contract of `GET /api/v1/state`."""
    found: dict[str, Any] = {}
    for _ in snapshot_steps(pool, found):
        pass
    return found


def snapshot_steps(pool: Pool, into: dict[str, Any]) -> Iterator[None]:
    """The same, written into a dictionary backend by backend, for who must not hold up the data path."""
    backends: dict[str, Any] = {}
    into.update(
        strategy=strategy_name(pool),
        queued=pool.queued,
        queue_size=pool.spec.queue.size,
        open=pool.open,
        max_connections=pool.spec.max_connections,
        panic=pool.panic,
        backends=backends,
    )
    for name, backend in tuple(pool.backends.items()):
        backends[name] = _backend(backend)
        yield


def strategy_name(pool: Pool) -> str:
    """The strategies' names as the operator wrote them."""
    return ", ".join(link.name for link in pool.chain.links)


def measurements(pool: Pool) -> dict[str, Any]:
    """What metrics need beyond the snapshot: refusals by reason, and for each backend (bucket counts, sum of seconds)
    of its connect, first-byte and whole durations; the bounds are `txlb.model.histogram.BOUNDS`."""
    return {
        "open": pool.open,
        "panic": pool.panic,
        "retries": pool.retried,
        "refusals": dict(pool.refusals),
        "backends": {
            name: {
                "connect": _histogram(backend.connect_times),
                "first_byte": _histogram(backend.first_byte_times),
                "duration": _histogram(backend.durations),
            }
            for name, backend in pool.backends.items()
        },
    }


def explain(pool: Pool, client: Any) -> dict[str, Any]:
    """Which backend this client would get, and for each backend why or why not. Changes nothing."""
    excluded = pool.full
    name, scores = pool.chain.scores(client)
    scored = {backend: (score, why) for backend, score, why in scores}
    pick = next((b for b, _, _ in scores if b in pool.offered and b not in excluded), None)
    return {
        "pool": pool.name,
        "strategy": name,
        "panic": pool.panic,
        "pick": None if pick is None else pick.name,
        "why": _why(pool, name, pick, scored),
        "backends": {
            b.name: _explained(b, b in pool.offered, b in excluded, *scored.get(b, (None, "")))
            for b in pool.backends.values()
        },
    }


def _why(pool: Pool, strategy: str, pick: Backend | None, scored: dict[Any, tuple[float, str]]) -> str:
    if pick is not None:
        return scored[pick][1]
    if not pool.offered:
        return "no backend is eligible"
    if len(pool.full) >= len(pool.offered):
        return "every backend is at its maximum"
    if not scored:
        return f"{strategy} does not explain itself"
    return f"{strategy} has no pick"


def _explained(backend: Backend, offered: bool, full: bool, score: float | None, why: str) -> dict[str, Any]:
    reason = backend.reason
    if full:
        reason = f"at its maximum of {backend.spec.max_connections} connections"
    elif offered and not backend.eligible:
        reason = f"used in panic, although {reason}"
    elif not offered and backend.eligible and backend.effective_weight:
        reason = "a backup, used while no other is eligible" if backend.spec.backup else reason
    return {
        "eligible": backend.eligible,
        "offered": offered and not full,
        "reason": reason,
        "weight": backend.effective_weight,
        "active": backend.active,
        "score": score,
        "why": why,
    }


def _backend(backend: Backend) -> dict[str, Any]:
    return {
        "connect": backend.spec.connect,
        "weight": backend.spec.weight if backend.weight_override is None else backend.weight_override,
        "effective_weight": backend.effective_weight,
        "admin": backend.admin.value,
        "health": backend.health.value,
        "outlier": backend.outlier.value,
        "eligible": backend.eligible,
        "reason": backend.reason,
        "open": backend.active,
        "total": backend.total,
        "outcomes": backend.outcomes.copy(),
        "bytes_in": backend.bytes_in,
        "bytes_out": backend.bytes_out,
        "connect_ms": backend.connect_times.recent_ms,
        "first_byte_ms": backend.first_byte_times.recent_ms,
        "checks": {"passed": backend.checks_passed, "failed": backend.checks_failed},
        "max_connections": backend.spec.max_connections,
        "backup": backend.spec.backup,
    }


def _histogram(histogram: Histogram) -> tuple[list[int], float]:
    return histogram.counts.copy(), histogram.total
