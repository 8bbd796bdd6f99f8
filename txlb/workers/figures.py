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
_POOL = ("retries", "refusals", "backends")
_BACKEND = ("total", "bytes_in", "bytes_out", "outcomes")
_TIMES = ("connect_ms", "first_byte_ms")


def counters(figures: Figures) -> Figures:
    """Of a worker's figures (`state` and `measurements`), those that only ever grow: what stays of one that ended."""
    state, measured = figures["state"], figures["measurements"]
    return {
        "state": {
            "listeners": {name: _only(values, _LISTENER) for name, values in state["listeners"].items()},
            "pools": {
                name: {"backends": {b: _only(v, _BACKEND) for b, v in pool["backends"].items()}}
                for name, pool in state["pools"].items()
            },
        },
        "measurements": {
            "listeners": measured["listeners"],
            "pools": {name: _only(values, _POOL) for name, values in measured["pools"].items()},
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
    """The balancer's state. `decided` are the parent's listeners and pools as in the contract, `open_of` is what is open
    by the names of the counters."""
    states = [figures["state"] for figures in workers]
    sums = add([*([departed["state"]] if departed else []), *states]) or {"listeners": {}, "pools": {}}
    return {
        "listeners": {
            name: listener | _only(sums["listeners"].get(name, {}), _LISTENER) | {"open": open_of[f"listener/{name}"]}
            for name, listener in decided["listeners"].items()
        },
        "pools": {
            name: _pool(pool, [s["pools"][name] for s in states if name in s["pools"]], sums["pools"].get(name, {}))
            | {"open": open_of[f"pool/{name}"]}
            for name, pool in decided["pools"].items()
        },
    }


def _pool(decided: Figures, each: list[Figures], sums: Figures) -> Figures:
    counted = sums.get("backends", {})
    backends = {
        name: backend | _only(counted.get(name, {}), _BACKEND) | _times([p["backends"].get(name, {}) for p in each])
        for name, backend in decided["backends"].items()
    }
    return decided | {"queued": sum(p["queued"] for p in each), "backends": backends}


def measurements(
    decided: Figures, workers: list[Figures], departed: Figures | None, open_of: Mapping[str, int]
) -> Figures:
    """The balancer's measurements; `decided` are the pools of the parent's, which count nothing."""
    each = [figures["measurements"] for figures in workers]
    sums = add([*([departed["measurements"]] if departed else []), *each]) or {"listeners": {}, "pools": {}}
    limits = [m["process"]["limit"] for m in each]
    return {
        "listeners": sums["listeners"],
        "pools": {
            name: pool | _counted(pool, sums["pools"].get(name, {})) | {"open": open_of[f"pool/{name}"]}
            for name, pool in decided.items()
        },
        "process": {"open": open_of["process"], "limit": None if None in limits else sum(limits)},
    }


def _counted(pool: Figures, sums: Figures) -> Figures:
    """Counters of the workers, for the backends that there are now."""
    backends = pool["backends"] | _only(sums.get("backends", {}), pool["backends"])
    return _only(sums, ("retries", "refusals")) | {"backends": backends}


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


def _times(each: list[Figures]) -> Figures:
    return {key: _mean([(one[key], one["total"]) for one in each if one]) for key in _TIMES}


def _mean(pairs: list[tuple[float | None, int]]) -> float | None:
    known = [(value, weight or 1) for value, weight in pairs if value is not None]
    return round(sum(v * w for v, w in known) / sum(w for _, w in known), 3) if known else None
