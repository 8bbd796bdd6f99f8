"""How a pool is changed from outside, backend by backend and by name: operators, health checks, other workers.

Each change is also a command of plain data, so that one process can decide and others follow: the first element is a
method's name, the others its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IReactorTime

from txlb.events import BackendChanged, EventBus
from txlb.model.backend import Backend
from txlb.model.overrides import Overrides
from txlb.model.roster import Roster
from txlb.model.states import HealthState, OutlierState
from txlb.specs import BackendSpec

COMMANDS = frozenset(
    {
        "observe",
        "decree",
        "propose_ejection",
        "eject",
        "end_ejection",
        "set_admin",
        "set_weight",
        "add",
        "remove",
        "restore",
        "restore_verdicts",
        "set_remote",
    }
)


class Steered:
    """The half of a pool that takes instructions.

    Verdicts and commands on names that are not there (any more) are ignored, because a probe or another process
    may speak of a backend that has just left; operators' methods raise KeyError instead.
    """

    name: str
    _roster: Roster
    _overrides: Overrides
    _bus: EventBus
    _clock: IReactorTime

    def observe(self, name: str, ok: bool, reason: str, passive: bool = False) -> None:
        """A verdict on a backend: an active check's, or with `passive` one that traffic gave."""
        backend = self._roster.backends.get(name)
        if backend is None:
            return
        if not passive:
            self._roster.observe(backend, ok, reason)
        elif ok:
            backend.failures = 0
        else:
            self._roster.failed(backend, reason)

    def decree(self, name: str, health: str, reason: str) -> None:
        """Another process checks: its verdict is `up`, `down` or `unknown`, and holds at once."""
        if (backend := self._roster.backends.get(name)) is not None:
            self._roster.decree(backend, HealthState(health), reason)

    def propose_ejection(self, name: str, reason: str) -> None:
        """Eject it, if the pool can afford that; for as long as it has earned."""
        if (backend := self._roster.backends.get(name)) is not None:
            self._roster.try_eject(backend, reason)

    def eject(self, name: str, seconds: float, reason: str) -> None:
        """Another process decided to eject it."""
        if (backend := self._roster.backends.get(name)) is not None:
            self._roster.eject(backend, seconds, reason)

    def end_ejection(self, name: str, reason: str) -> None:
        """Take it back before its time."""
        if (backend := self._roster.backends.get(name)) is not None:
            self._roster.end_ejection(backend, reason)

    def delegate_ejections(self, ask: Callable[[str, str], object]) -> None:
        """From now on do not eject on own account but call `ask(name, reason)`, and wait for the `eject` command."""

        def judge(backend: Backend, reason: str) -> None:
            backend.failures = 0
            ask(backend.name, reason)

        self._roster.judge = judge

    def delegate_failures(self, tell: Callable[[Backend, str], object]) -> None:
        """From now on do not judge what traffic meets but call `tell(backend, reason)` at each failure, and wait for the
        `eject` command. Who is told counts `backend.failures`; a success sets it to 0, as ever."""
        self._roster.failed = tell  # type: ignore[method-assign,assignment]

    def set_admin(self, name: str, state: str, by: str) -> None:
        """`ready`, `drain` or `maint`. Raises KeyError for the name, ValueError for the state."""
        self._overrides.set_admin(name, state)
        self._operated(name, "admin", state, by)

    def set_weight(self, name: str, weight: int, by: str) -> None:
        """From 0 to 1000; 0 takes no new connections. Raises KeyError for the name, ValueError for the weight."""
        self._overrides.set_weight(name, weight)
        self._operated(name, "weight", str(weight), by)

    def add(self, spec: BackendSpec, by: str) -> None:
        """One more backend. Raises ValueError where there is one of that name, or for its weight."""
        self._overrides.add(spec)
        self._operated(spec.name, "added", spec.connect, by)

    def remove(self, name: str, by: str) -> None:
        """One backend less; its connections run to their end. Raises KeyError for the name."""
        self._overrides.remove(name)
        self._operated(name, "removed", "", by)

    def overrides(self) -> dict[str, Any]:
        """What operators said at run time, as plain data for another process."""
        return self._overrides.export()

    def restore(self, overrides: Mapping[str, Any]) -> None:
        """Take over another process's `overrides()`."""
        self._overrides.restore(overrides)
        self._apply_overrides()

    def verdicts(self) -> dict[str, Any]:
        """What was found out about the backends, as plain data for another process: for each its health and why, how
        many times in a row it was ejected, why and for how many seconds more it is, how many failures in a row traffic
        met, and how many seconds ago it recovered."""
        now = self._clock.seconds()
        return {
            b.name: {
                "health": b.health.value,
                "reason": b.health_reason,
                "ejections": b.ejections,
                "ejected": b.ejected_until - now if b.outlier is OutlierState.EJECTED else None,
                "ejected_for": b.outlier_reason,
                "failures": b.failures,
                "recovered": None if b.recovered_at is None else now - b.recovered_at,
            }
            for b in self._roster.backends.values()
        }

    def restore_verdicts(self, verdicts: Mapping[str, Any]) -> None:
        """Take over another process's `verdicts()`, as far as they concern backends that there are."""
        for name, found in verdicts.items():
            backend = self._roster.backends.get(name)
            if backend is None:
                continue
            self._roster.decree(backend, HealthState(found["health"]), found["reason"])
            if found["recovered"] is not None:
                self._roster.warm_since(backend, self._clock.seconds() - found["recovered"])
            if found["ejected"] is not None:
                self._roster.eject(backend, max(0.0, found["ejected"]), found["ejected_for"])
            backend.ejections, backend.failures = found["ejections"], found["failures"]

    def apply(self, command: Sequence[Any]) -> None:
        """Do what a command such as `("observe", "green", True, "status 200")` says. A backend to be added is a mapping
        of its spec's fields. Raises ValueError for a command that there is none of, else as the method does."""
        name, *arguments = command
        if name not in COMMANDS:
            raise ValueError(f"no command {name!r} (known: {', '.join(sorted(COMMANDS))})")
        if name == "add":
            arguments[0] = BackendSpec(**arguments[0])
        getattr(self, name)(*arguments)

    def _operated(self, name: str, what: str, value: str, by: str) -> None:
        self._apply_overrides()
        self._bus.publish(BackendChanged(self.name, name, what, str(value), by))

    def _apply_overrides(self) -> None:
        raise NotImplementedError  # the pool's part
