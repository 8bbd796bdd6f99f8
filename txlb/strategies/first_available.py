"""First available: the first backend by name that can take the connection; the next only when it cannot.

With `max_connections` on the backends it fills one before it touches the next, so that as few as possible are in use
and the rest may be switched off. Without limits it is active and standby. Weights have no say.
Source: HAProxy's `balance first` (`src/lb_fas.c`).
"""

from __future__ import annotations

from collections.abc import Container
from itertools import filterfalse
from typing import Any

from attrs import define, field
from zope.interface import implementer

from txlb.interfaces import IExplains, IStrategy


@implementer(IStrategy, IExplains)
@define(slots=False, eq=False)
class FirstAvailable:
    """A pick is O(1), and with full backends before the first free one, a scan of those at C speed."""

    _backends: tuple = field(init=False, default=())

    def rebuild(self, backends: tuple) -> None:
        self._backends = backends

    def pick(self, client: object, exclude: Container = ()) -> Any:
        return next(filterfalse(exclude.__contains__, self._backends), None)

    def scores(self, client: object) -> list[tuple[Any, float, str]]:
        return [(backend, float(place), f"number {place} by name") for place, backend in enumerate(self._backends, 1)]
