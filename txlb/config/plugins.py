"""What the configuration says of plugins: their names, and options as the fields of their classes.

The plugins, which are anybody's code, are asked only after the file was read (`Reading.questions`). Nothing that is read
depends on what they say, other than whether it is a configuration at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from txlb.config.reading import Spot
from txlb.config.words import nearest
from txlb.errors import BrokenPlugin, UnknownPlugin
from txlb.options import check, describe
from txlb.registry import Registry


def ask_plugin(spot: Spot, registry: Registry, name: str, options: Mapping[str, Spot], fixed: Iterable[str]) -> None:
    """Have asked later whether there is a plugin `name` that takes these options; what is wrong is written down.

    Problems of the plugin stand at `spot`, those of an option at the option. `fixed` are the keys beside the options.
    """
    spot.reading.questions.append(lambda: _ask(spot, registry, name, options, fixed))


def _ask(spot: Spot, registry: Registry, name: str, options: Mapping[str, Spot], fixed: Iterable[str]) -> None:
    try:
        cls = registry.load(name)
    except (UnknownPlugin, BrokenPlugin) as error:
        spot.wrong(str(error))
        return
    try:
        _check_options(spot, name, cls, options, fixed)
    except Exception as error:  # a third party's class may raise anything when it is looked at or made
        spot.wrong(f"{name} cannot be made with these options: {type(error).__name__}: {error}")


def _check_options(spot: Spot, name: str, cls: type, options: Mapping[str, Spot], fixed: Iterable[str]) -> None:
    known = [option.name for option in describe(cls)]
    for key in [key for key in options if key not in known]:
        has = f"its options: {', '.join(known)}" if known else "it has no options"
        options[key].wrong(f"unknown option of {name}{nearest(key, [*known, *fixed])} ({has})")
    for problem in check(cls, {key: inner.plain() for key, inner in options.items() if key in known}):
        culprit = problem.option or _named_in(problem.message, options)
        if culprit in options:
            options[culprit].wrong(problem.message)
        else:
            spot.wrong(f"{name}: {problem}")


def _named_in(message: str, options: Mapping[str, Spot]) -> str:
    """The option that a message of an attrs validator is about: it begins with the name in quotes."""
    return next((key for key in options if message.startswith(f"'{key}' ")), "")
