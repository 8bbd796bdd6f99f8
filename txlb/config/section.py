"""Mappings by a table: which keys there are, how each is parsed, and which must be given.

Defaults are not here but in `txlb.specs`: a key that is not given is not passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from attrs import frozen

from txlb.config.reading import Spot
from txlb.config.scalars import LONGEST_NAME, Parser
from txlb.config.words import clip, nearest

T = TypeVar("T")


@frozen
class Field:
    """A key that a section knows. It goes to the attribute of the same name."""

    key: str
    parse: Parser[Any]
    required: bool = False


def section(make: Callable[..., T], *fields: Field) -> Callable[..., T | None]:
    """A parser of a mapping. Keyword arguments it is called with are handed to `make` as they are."""

    def parse(spot: Spot, **given: Any) -> T | None:
        values = read_fields(spot, spot.fields(), fields)
        return None if values is None else make(**values, **given)

    return parse


def read_fields(
    spot: Spot, found: Mapping[str, Spot], fields: Iterable[Field], others: Iterable[str] = ()
) -> dict[str, Any] | None:
    """The values of the fields; None when one was wrong, missing or unknown. `others` are keys that are read elsewhere."""
    known = {field.key: field for field in fields}
    others = set(others)
    values: dict[str, Any] = {}
    sound = True
    for key, inner in found.items():
        if key in known:
            values[key] = inner.take(known[key].parse)
            sound = sound and values[key] is not None
        elif key not in others:
            inner.wrong(unknown_key(key, [*known, *others]))
            sound = False
    for field in known.values():
        if field.required and field.key not in found:
            spot.missing(field.key)
            sound = False
    return values if sound else None


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The message about a key that nothing knows, with the nearest that is known."""
    known = sorted(known)
    return "unknown key" + (nearest(key, known) or f"; known: {', '.join(known)}")


def named(parse: Callable[..., T | None], what: str) -> Parser[dict[str, T]]:
    """A mapping from names to sections of one kind, at least one."""

    def parse_all(spot: Spot) -> dict[str, T] | None:
        found = spot.fields()
        if not found:
            raise ValueError(f"must hold at least one {what}")
        sections = {key: inner.take(partial(_one, name=key, parse=parse)) for key, inner in found.items()}
        sound = {key: section for key, section in sections.items() if section is not None}
        return sound if len(sound) == len(sections) else None

    return parse_all


def _one(spot: Spot, name: str, parse: Callable[..., T | None]) -> T | None:
    if not name.strip() or len(name) > LONGEST_NAME or clip(name, len(name)) != name:
        spot.wrong(f"a name must be 1 to {LONGEST_NAME} characters on one line")
    return parse(spot, name=name)
