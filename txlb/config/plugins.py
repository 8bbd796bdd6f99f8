"""What the configuration says of plugins: their names, and options as the fields of their classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from txlb.config.reading import Spot
from txlb.config.words import nearest
from txlb.errors import BrokenPlugin, UnknownPlugin
from txlb.options import check, describe
from txlb.registry import Registry


def options_hold(spot: Spot, registry: Registry, name: str, options: Mapping[str, Spot], fixed: Iterable[str]) -> bool:
    """Whether there is a plugin `name` that takes these options; what is wrong is written down.

    Problems of the plugin stand at `spot`, those of an option at the option. `fixed` are the keys beside the options.
    """
    try:
        cls = registry.load(name)
    except (UnknownPlugin, BrokenPlugin) as error:
        spot.wrong(str(error))
        return False
    try:
        return _options_hold(spot, name, cls, options, fixed)
    except Exception as error:  # a third party's class may raise anything when it is looked at or made
        spot.wrong(f"{name} cannot be made with these options: {type(error).__name__}: {error}")
        return False


def _options_hold(spot: Spot, name: str, cls: type, options: Mapping[str, Spot], fixed: Iterable[str]) -> bool:
    known = [option.name for option in describe(cls)]
    unknown = [key for key in options if key not in known]
    for key in unknown:
        has = f"its options: {', '.join(known)}" if known else "it has no options"
        options[key].wrong(f"unknown option of {name}{nearest(key, [*known, *fixed])} ({has})")
    wrong = check(cls, {key: inner.plain() for key, inner in options.items() if key in known})
    for problem in wrong:
        culprit = problem.option or _named_in(problem.message, options)
        if culprit in options:
            options[culprit].wrong(problem.message)
        else:
            spot.wrong(f"{name}: {problem}")
    return not wrong and not unknown


def _named_in(message: str, options: Mapping[str, Spot]) -> str:
    """The option that a message of an attrs validator is about: it begins with the name in quotes."""
    return next((key for key in options if message.startswith(f"'{key}' ")), "")
