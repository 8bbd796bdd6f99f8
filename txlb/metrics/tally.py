"""Events counted by what they concern. They are rare (a backend goes down, a configuration is applied), so that a dict
of counters is good enough; connections are not counted here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from txlb.events import (
    AccessLogLost,
    BackendChanged,
    BackendDown,
    BackendEjected,
    BackendReturned,
    BackendUp,
    EventBus,
    Panic,
    PluginFailed,
    Reloaded,
)

TRANSITIONS = {BackendUp: "up", BackendDown: "down", BackendEjected: "ejected", BackendReturned: "returned"}


class Tally:
    """Counts from when it is made until it is stopped. `now` tells the time of day.

    `transitions` has (pool, backend, to), `changes` (pool, backend, what), `panics` a pool's name, `plugin_failures`
    (kind, name), `reloads` "ok" or "failed". `last_reload` and `last_success` are seconds since the epoch, None before
    the first; `last_ok` says how the last reload went.
    """

    def __init__(self, bus: EventBus, now: Callable[[], float]) -> None:
        self.transitions: Counter[tuple[str, str, str]] = Counter()
        self.changes: Counter[tuple[str, str, str]] = Counter()
        self.panics: Counter[str] = Counter()
        self.plugin_failures: Counter[tuple[str, str]] = Counter()
        self.reloads: Counter[str] = Counter()
        self.last_reload: float | None = None
        self.last_success: float | None = None
        self.last_ok = True
        self.lines_lost = 0
        self._now = now
        counted: dict[type, Callable[[Any], None]] = {
            **dict.fromkeys(TRANSITIONS, self._transition),
            BackendChanged: self._changed,
            Panic: self._panic,
            PluginFailed: self._plugin_failed,
            Reloaded: self._reloaded,
            AccessLogLost: self._lost,
        }
        self._ends = [bus.subscribe(kind, count) for kind, count in counted.items()]

    def stop(self) -> None:
        """Count no more."""
        for end in self._ends:
            end()

    def keep_only(self, pools: Mapping[str, Any]) -> None:
        """Forget what is there no more, or names that come and go would fill the memory."""
        for counter in (self.transitions, self.changes):
            gone = [key for key in counter if key[0] not in pools or key[1] not in pools[key[0]]["backends"]]
            for key in gone:
                del counter[key]
        for pool in [pool for pool in self.panics if pool not in pools]:
            del self.panics[pool]

    def _transition(self, event: Any) -> None:
        self.transitions[event.pool, event.backend, TRANSITIONS[type(event)]] += 1

    def _changed(self, event: BackendChanged) -> None:
        self.changes[event.pool, event.backend, event.what] += 1

    def _panic(self, event: Panic) -> None:
        self.panics[event.pool] += event.on

    def _plugin_failed(self, event: PluginFailed) -> None:
        self.plugin_failures[event.kind, event.name] += 1

    def _reloaded(self, event: Reloaded) -> None:
        self.reloads["ok" if event.ok else "failed"] += 1
        self.last_reload, self.last_ok = self._now(), event.ok
        if event.ok:
            self.last_success = self.last_reload

    def _lost(self, event: AccessLogLost) -> None:
        self.lines_lost += event.lines
