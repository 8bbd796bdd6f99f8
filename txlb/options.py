"""Options of plugins: the typed fields of an attrs class or a dataclass.

A field's type says what the configuration may hold: `bool`, `int`, `float`, `str`, `Seconds`, a `Literal`, an Enum, a
`list`, `tuple` or `frozenset` of one of them, or one of them `| None`. Nothing is converted silently: `"3"` is not a
number. A field's attrs validators and `__attrs_post_init__` refuse with a ValueError. The field's metadata may hold a
`help` line. Fields named in `GIVEN` are handed in by the caller and cannot be configured.
"""

from __future__ import annotations

import dataclasses
import enum
import random
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

import attrs
from attrs import frozen
from cattrs import Converter
from twisted.internet.task import Clock

from txlb.errors import OptionError
from txlb.units import Seconds, format_duration, parse_duration

GIVEN = frozenset({"clock", "rng", "reactor"})


@frozen
class Option:
    """One option, for people who read a list of them. `default` is as it would be written; None: it must be given."""

    name: str
    type: str
    default: str | None
    help: str


def describe(cls: type) -> list[Option]:
    """The options of a plugin's class, in the order of its fields."""
    return [Option(f.name, _type_words(f.type), f.default, f.help) for f in _fields(cls) if f.name not in GIVEN]


def build(cls: type, options: Mapping[str, Any], **given: Any) -> Any:
    """An instance of `cls` with these options and with those of `given` that it has fields for; raises OptionError."""
    problems, values = _structure(cls, options)
    if problems:
        raise problems[0]
    values.update({f.name: given[f.name] for f in _fields(cls) if f.name in given})
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise _constructor_problem(cls, error) from error


def check(cls: type, options: Mapping[str, Any]) -> list[OptionError]:
    """All that is wrong with these options; empty when an instance can be built with them."""
    problems, _ = _structure(cls, options)
    if not problems:
        try:
            build(cls, options, clock=Clock(), rng=random.Random(0), reactor=None)
        except OptionError as error:
            problems = [error]
    return problems


@frozen
class _Field:
    name: str
    type: Any
    default: str | None
    help: str


def _fields(cls: type) -> list[_Field]:
    if attrs.has(cls):
        hints = typing.get_type_hints(cls)
        return [
            _field(a.alias, hints.get(a.name, Any), _attrs_default(a.default), a.metadata)
            for a in attrs.fields(cls)
            if a.init
        ]
    if dataclasses.is_dataclass(cls):
        hints = typing.get_type_hints(cls)
        return [
            _field(d.name, hints[d.name], _dataclass_default(d), d.metadata) for d in dataclasses.fields(cls) if d.init
        ]
    return []


def _field(name: str, kind: Any, default: Any, metadata: Mapping[Any, Any]) -> _Field:
    written = None if default is attrs.NOTHING else _as_written(default, kind)
    return _Field(name, kind, written, metadata.get("help", ""))


def _attrs_default(default: Any) -> Any:
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return "" if default.takes_self else default.factory()
    return default


def _dataclass_default(d: dataclasses.Field[Any]) -> Any:
    if d.default_factory is not dataclasses.MISSING:
        return d.default_factory()
    return attrs.NOTHING if d.default is dataclasses.MISSING else d.default


def _as_written(value: Any, kind: Any = None) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, frozenset):
        value = sorted(
            value, key=lambda item: getattr(item, "value", item)
        )  # people should see the same order each time
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_as_written, value)) + "]"
    return format_duration(value) if Seconds in (kind, *get_args(kind)) else str(value)


def _type_words(kind: Any) -> str:
    if kind is Seconds:
        return "duration"
    if get_origin(kind) is Literal:
        return " | ".join(map(str, get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " | ".join(str(member.value) for member in kind)
    if get_origin(kind) in (typing.Union, types.UnionType):
        return " | ".join(_type_words(part) for part in get_args(kind) if part is not type(None))
    if get_origin(kind) in (list, tuple, frozenset):
        return f"list of {_type_words(get_args(kind)[0])}"
    return {int: "integer", float: "number", str: "text", bool: "true | false"}.get(kind, str(kind))


def _structure(cls: type, options: Mapping[str, Any]) -> tuple[list[OptionError], dict[str, Any]]:
    fields = {f.name: f for f in _fields(cls) if f.name not in GIVEN}
    problems: list[OptionError] = []
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name not in fields:
            known = ", ".join(fields) if fields else "none"
            problems.append(OptionError(name, f"unknown option; known: {known}"))
            continue
        try:
            values[name] = _converter.structure(value, fields[name].type)
        except (ValueError, TypeError) as error:
            problems.append(OptionError(name, str(error)))
    missing = [name for name, f in fields.items() if f.default is None and name not in options]
    problems += [OptionError(name, "is required") for name in missing]
    return problems, values


def _constructor_problem(cls: type, error: Exception) -> OptionError:
    """attrs validators raise with arguments (message, attribute, …); others with a message only."""
    attribute = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], attrs.Attribute) else None
    message = str(error.args[0]) if error.args else str(error)
    return OptionError(attribute.name if attribute else "", message)


def _exactly(kind: type, words: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, asked: Any) -> Any:
        if issubclass(asked, enum.Enum):  # one whose members are texts or numbers comes here for being a `kind` too
            return _enum(value, asked)
        if type(value) is not kind:
            raise ValueError(f"must be {words}, not {value!r}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
        raise ValueError(f"must be a number, not {value!r}")
    return float(value)


def _literal(value: Any, kind: Any) -> Any:
    if (type(value), value) not in [(type(known), known) for known in get_args(kind)]:  # for 1 == True == 1.0
        raise ValueError(f"must be one of {', '.join(map(str, get_args(kind)))}, not {value!r}")
    return value


def _enum(value: Any, kind: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(str(m.value) for m in kind)}, not {value!r}") from None


def _sequence(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(f"must be a list, not {value!r}")
    return get_origin(kind)(_converter.structure(item, get_args(kind)[0]) for item in value)


def _union(value: Any, kind: Any) -> Any:
    parts = get_args(kind)
    if value is None and type(None) in parts:
        return None
    errors: list[str] = []
    for part in parts:
        if part is not type(None):
            try:
                return _converter.structure(value, part)
            except (ValueError, TypeError) as error:
                errors.append(str(error))
    raise ValueError("; ".join(errors))


def _is(*origins: Any) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) in origins


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(int, _exactly(int, "a whole number"))
    converter.register_structure_hook(str, _exactly(str, "text"))
    converter.register_structure_hook(bool, _exactly(bool, "true or false"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_func(lambda kind: kind is Seconds, lambda value, _: parse_duration(value))
    converter.register_structure_hook_func(_is(Literal), _literal)
    converter.register_structure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, enum.Enum), _enum)
    converter.register_structure_hook_func(_is(list, tuple, frozenset), _sequence)
    converter.register_structure_hook_func(_is(typing.Union, types.UnionType), _union)
    return converter


_converter = _make_converter()
