"""Parsers of single values: each takes a spot and returns a value, or raises ValueError with what it must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from txlb.config.reading import Spot
from txlb.config.words import clip, nearest
from txlb.units import format_duration, parse_duration

T = TypeVar("T")
Parser = Callable[[Spot], T | None]
"""None means that something was wrong and is written down already."""

LONGEST_NAME = 200
LONGEST_DURATION = 366 * 24 * 3600.0

_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def integer(least: int, most: int) -> Callable[[Spot], int]:
    """A whole number in these bounds, both included."""

    def parse(spot: Spot) -> int:
        value = spot.value
        if type(value) is not int:
            raise ValueError(f"must be a whole number, not {spot.shown}")
        if value < least:
            raise ValueError(f"must be {least} or more, not {spot.shown}")
        if value > most:
            raise ValueError(f"must be {most} or less, not {spot.shown}")
        return value

    return parse


percent = integer(0, 100)


def duration(least: float = 0.0, most: float = LONGEST_DURATION) -> Callable[[Spot], float]:
    """Seconds, of at least `least` and at most `most`, a year unless told."""

    def parse(spot: Spot) -> float:
        try:
            seconds = float(parse_duration(spot.value))
        except (ValueError, OverflowError):
            raise ValueError(f"must be a duration such as 250ms, 2s, 5m or 1h, not {spot.shown}") from None
        if seconds < least:
            raise ValueError(f"must be {format_duration(least)} or more, not {spot.shown}")
        if seconds > most:
            longest = "a year" if most == LONGEST_DURATION else format_duration(most)
            raise ValueError(f"must be {longest} or less, not {spot.shown}")
        return seconds

    return parse


some_time = duration(0.001)
"""A duration that may not be 0."""


def flag(spot: Spot) -> bool:
    """`true` or `false`, or the words that YAML 1.1 took for them."""
    value = spot.value
    if isinstance(value, str):
        value = _FLAGS.get(value.lower())
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {spot.shown}")
    return value


def text(spot: Spot) -> str:
    """Text that is not empty, on one line."""
    value = spot.value
    if isinstance(value, bool | int | float):
        raise ValueError(f"must be text, not {spot.shown} (put it in quotes)")
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {spot.shown}")
    if not value.strip():
        raise ValueError("must not be empty")
    if clip(value, len(value)) != value:
        raise ValueError("must not hold control characters")
    return value


def name(spot: Spot) -> str:
    """Text that names something."""
    value = text(spot)
    if len(value) > LONGEST_NAME:
        raise ValueError(f"must be {LONGEST_NAME} characters or fewer, not {len(value)}")
    return value


def one_of(*choices: str) -> Callable[[Spot], str]:
    """One of these words."""

    def parse(spot: Spot) -> str:
        if spot.value not in choices:
            hint = nearest(spot.value, choices) if isinstance(spot.value, str) else ""
            raise ValueError(f"must be one of {', '.join(choices)}, not {spot.shown}{hint}")
        return str(spot.value)

    return parse


def list_of(parse: Parser[T], least: int = 0, alone: bool = False) -> Parser[tuple[T, ...]]:
    """A list; `alone` allows a single item without the brackets."""

    def parse_all(spot: Spot) -> tuple[T, ...] | None:
        single = alone and not isinstance(spot.value, list)
        items = [spot] if single else spot.items()
        if len(items) < least:
            raise ValueError("must hold at least one" if least == 1 else f"must hold at least {least}")
        found = [item.take(parse) for item in items]
        sound = [item for item in found if item is not None]
        return tuple(sound) if len(sound) == len(found) else None

    return parse_all
