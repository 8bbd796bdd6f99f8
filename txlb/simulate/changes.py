"""Backends that leave and join while the simulation runs: `NAME@TIME`, such as `green@5s`."""

from __future__ import annotations

from attrs import frozen

from txlb.errors import OptionError
from txlb.specs import BackendSpec
from txlb.units import parse_duration


@frozen
class Change:
    """At `at` seconds `name` joins, or leaves: takes nothing new, and finishes what it has."""

    at: float
    name: str
    joins: bool


def parse_changes(leave: list[str], join: list[str], backends: tuple[BackendSpec, ...]) -> tuple[Change, ...]:
    """All changes in the order of time; raises OptionError. Who joins may be new, of weight 1; who leaves must exist."""
    changes = [_parse("--leave", text, False) for text in leave] + [_parse("--join", text, True) for text in join]
    known = {backend.name for backend in backends} | {change.name for change in changes if change.joins}
    for change in changes:
        if change.name not in known:
            raise OptionError("--leave", f"there is no backend {change.name!r}; known: {', '.join(sorted(known))}")
    return tuple(sorted(changes, key=lambda change: (change.at, change.name, change.joins)))


def present_at_first(name: str, changes: tuple[Change, ...]) -> bool:
    """Whoever joins before leaving was not there."""
    return next((not change.joins for change in changes if change.name == name), True)


def _parse(option: str, text: str, joins: bool) -> Change:
    name, at, time = text.rpartition("@")
    if not at or not name:
        raise OptionError(option, f"must be NAME@TIME such as green@5s, not {text!r}")
    try:
        return Change(parse_duration(float(time) if time.replace(".", "", 1).isdigit() else time), name, joins)
    except ValueError as error:
        raise OptionError(option, f"{text!r}: the time {error}") from None
