"""What operators said at run time, beside what the file says, and which of the two holds.

An override lasts until the file itself changes what it overrides, or the backend leaves the file:
- a weight, until the file gives that backend another weight;
- an admin state, as long as the backend is in the pool (the file has no word for it);
- a removal, until the file changes that backend's entry;
- an added backend stays until it is removed or the file names it, and then it is the file's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from txlb.model.states import AdminState
from txlb.specs import BackendSpec

MAX_WEIGHT = 1000


class Overrides:
    """`file` is what the configuration or a discovery source said last, by name."""

    def __init__(self, file: Iterable[BackendSpec]) -> None:
        self.file = {spec.name: spec for spec in file}
        self.admin: dict[str, AdminState] = {}
        self.weights: dict[str, int] = {}
        self.added: dict[str, BackendSpec] = {}
        self.removed: set[str] = set()

    def specs(self) -> dict[str, BackendSpec]:
        """The backends that hold now, by name and in its order."""
        merged = {name: spec for name, spec in self.file.items() if name not in self.removed} | self.added
        return dict(sorted(merged.items()))

    def reconcile(self, file: Iterable[BackendSpec]) -> None:
        """The file was read again: drop the overrides that it settles."""
        old, self.file = self.file, {spec.name: spec for spec in file}
        for name in old.keys() | self.file.keys():
            before, after = old.get(name), self.file.get(name)
            if before == after:
                continue
            self.removed.discard(name)
            if after is not None:
                self.added.pop(name, None)
            if before is None or after is None or before.weight != after.weight:
                self.weights.pop(name, None)
        self._drop_strays()

    def set_admin(self, name: str, state: str) -> None:
        """Raises KeyError, or ValueError for a state that there is none of."""
        self._must_have(name)
        wanted = AdminState(state)
        if wanted is AdminState.READY:
            self.admin.pop(name, None)
        else:
            self.admin[name] = wanted

    def set_weight(self, name: str, weight: int) -> None:
        """Raises KeyError, or ValueError for a weight out of range."""
        self._must_have(name)
        _check_weight(weight)
        self.weights[name] = weight

    def add(self, spec: BackendSpec) -> None:
        """A backend that the file does not name, or named and the operator removed. Raises ValueError."""
        if spec.name in self.specs():
            raise ValueError(f"there is a backend {spec.name!r} already")
        _check_weight(spec.weight)
        self.removed.discard(spec.name)
        if self.file.get(spec.name) != spec:
            self.added[spec.name] = spec

    def remove(self, name: str) -> None:
        """Take a backend out, wherever it came from; raises KeyError."""
        self._must_have(name)
        self.added.pop(name, None)
        if name in self.file:
            self.removed.add(name)
        self._drop_strays()

    def export(self) -> dict[str, Any]:
        """Plain data for another process; see `restore`."""
        return {
            "admin": {name: state.value for name, state in self.admin.items()},
            "weights": dict(self.weights),
            "added": [attrs.asdict(spec) for spec in self.added.values()],
            "removed": sorted(self.removed),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Take over what another process exported, as far as it concerns backends that there are."""
        self.added = {spec.name: spec for spec in (BackendSpec(**fields) for fields in data["added"])}
        self.removed = set(data["removed"]) & self.file.keys()
        self.admin = {name: AdminState(state) for name, state in data["admin"].items()}
        self.weights = dict(data["weights"])
        self._drop_strays()

    def _must_have(self, name: str) -> None:
        if name not in self.specs():
            raise KeyError(f"there is no backend {name!r}")

    def _drop_strays(self) -> None:
        names = self.specs().keys()
        for overrides in (self.admin, self.weights):
            for name in overrides.keys() - names:
                del overrides[name]


def _check_weight(weight: int) -> None:
    if type(weight) is not int or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"a weight is a whole number from 0 to {MAX_WEIGHT}, not {weight!r}")
