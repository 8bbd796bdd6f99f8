"""What workers report, added up to what one balancer would report.

Counters are sums. What is open now comes from the shared table, so that it agrees with the limits; what the parent
decides (health, weights, reasons) comes from the parent. What workers that have ended were last seen to have counted
stays in the sums, so that a counter never runs backwards before the eyes of those who read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Figures = dict[str, Any]

_LISTENER = ("total", "rejected")
_BACKEND = ("total", "bytes_in", "bytes_out")
_TIMES = ("connect_ms", "first_byte_ms")


def counters(figures: Figures) -> Figures:
    """Of a worker's figures (`state` and `measurements`), those that only ever grow: what stays of one that ended."""
    state, measured = figures["state"], figures["measurements"]
    return {
        "state": {
            "listeners": {name: _only(values, _LISTENER) for name, values in state["listeners"].items()},
            "pools": {
                name: {"backends": {b: _only(v, (*_BACKEND, "outcomes")) for b, v in pool["backends"].items()}}
                for name, pool in state["pools"].items()
            },
        },
        "measurements": {
            "pools": {
                name: _only(values, ("retries", "refusals", "backends")) for name, values in measured["pools"].items()
            }
        },
    }


def add(all_of: Iterable[Any]) -> Any:
    """Numbers added up, in mappings key by key and in lists place by place; what is no number is the last one's."""
    total: Any = None
    for one in all_of:
        total = one if total is None else _plus(total, one)
    return total


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return {key: _plus(a[key], b[key]) if key in a and key in b else a.get(key, b.get(key)) for key in {**a, **b}}
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return [_plus(x, y) for x, y in zip(a, b, strict=True)]
    if isinstance(a, int | float) and isinstance(b, int | float) and not isinstance(b, bool):
        return a + b
    return b


def state(decided: Figures, workers: list[Figures], departed: Figures | None, open_of: Mapping[str, int]) -> Figures:
    """The balancer's state. `decided` holds the parent's pools as in the contract, `open_of` what is open by the names
    of the counters."""
    states = [figures["state"] for figures in workers]
    sums = add([*([departed["state"]] if departed else []), *states]) or {}
    listeners = {
        name: {**sums["listeners"][name], **listener, "open": open_of.get(f"listener/{name}", 0)}
        for name, listener in add([s["listeners"] for s in states] or [{}]).items()
        if name in sums.get("listeners", {})
    }
    for name, listener in listeners.items():
        listener.update(_only(sums["listeners"][name], _LISTENER))
    return {"listeners": listeners, "pools": {name: _pool(name, p, states, sums) for name, p in decided.items()}}


def _pool(name: str, pool: Figures, states: list[Figures], sums: Figures) -> Figures:
    here = [s["pools"][name] for s in states if name in s["pools"]]
    counted = sums.get("pools", {}).get(name, {}).get("backends", {})
    backends = {}
    for backend, decided in pool["backends"].items():
        each = [p["backends"][backend] for p in here if backend in p["backends"]]
        backends[backend] = {
            **decided,
            **_only(counted.get(backend, {}), (*_BACKEND, "outcomes")),
            **{key: _mean([(one[key], one["total"]) for one in each]) for key in _TIMES},
        }
    return {**pool, "queued": sum(p["queued"] for p in here), "backends": backends}


def measurements(
    decided: Figures, workers: list[Figures], departed: Figures | None, open_of: Mapping[str, int]
) -> Figures:
    """The balancer's measurements; `decided` is what the parent's own pools measure."""
    each = [figures["measurements"] for figures in workers]
    sums = add([m["pools"] for m in ([departed["measurements"]] if departed else []) + each]) or {}
    pools = {
        name: {
            **pool,
            **_only(sums.get(name, {}), ("retries", "refusals")),
            "open": open_of.get(f"pool/{name}", 0),
            "backends": {**pool["backends"], **_only(sums.get(name, {}).get("backends", {}), pool["backends"])},
        }
        for name, pool in decided.items()
    }
    limits = [m["process"]["limit"] for m in each]
    limit = None if None in limits else sum(limits)
    return {"pools": pools, "process": {"open": open_of.get("process", 0), "limit": limit}}


def detail(figures: Figures) -> Figures:
    """One worker's own figures, in short."""
    own = figures["state"]
    return {
        "open": figures["measurements"]["process"]["open"],
        "limit": figures["measurements"]["process"]["limit"],
        "listeners": own["listeners"],
        "pools": {
            name: {"queued": pool["queued"], "totals": {b: values["total"] for b, values in pool["backends"].items()}}
            for name, pool in own["pools"].items()
        },
    }


def _only(values: Mapping[str, Any], keys: Iterable[str]) -> Figures:
    return {key: values[key] for key in keys if key in values}


def _mean(pairs: list[tuple[float | None, int]]) -> float | None:
    known = [(value, weight or 1) for value, weight in pairs if value is not None]
    return round(sum(v * w for v, w in known) / sum(w for _, w in known), 3) if known else None
