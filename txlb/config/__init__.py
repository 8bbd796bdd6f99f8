"""The configuration: YAML in, one frozen `txlb.specs.Config` out, or every problem at once with its line.

    source    bytes to text            what can be wrong with a file
    document  nodes                    text to values: YAML, with the place of each; bounded
    reading   the pass                 problems, places, and a `Spot` for each value
    scalars   endpoints(_forms) plugins    parsers of single values
    section   tables of fields         parsers of mappings
    pools     top                      the tables themselves: the format is there to be read

Nothing here opens a socket or asks the reactor. What needs that is a validator, handed in from above: it gets a sound
`Config` and `place`, which turns a path such as `path_of("admin", "token_file")` into a maker of problems there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import evolve

from txlb import registry
from txlb.config.document import compose
from txlb.config.endpoints import check_target
from txlb.config.reading import Reading, Spot
from txlb.config.source import decode, read_text
from txlb.config.top import read_config
from txlb.config.words import path_of
from txlb.errors import Problem
from txlb.registry import Registry
from txlb.specs import Config

Place = Callable[[str], Callable[[str], Problem]]
Validator = Callable[[Config, Place], Iterable[Problem]]

__all__ = ["Place", "Validator", "check_target", "load", "parse", "path_of"]


def load(
    path: str,
    validators: Iterable[Validator] = (),
    strategies: Registry | None = None,
    health_checks: Registry | None = None,
) -> Config:
    """The configuration in the file at `path`; raises ConfigError with all that is wrong with it."""
    return parse(read_text(path), path, validators, strategies, health_checks)


def parse(
    text: str | bytes,
    file: str = "config.yaml",
    validators: Iterable[Validator] = (),
    strategies: Registry | None = None,
    health_checks: Registry | None = None,
) -> Config:
    """The configuration in `text`; raises ConfigError. The registries default to what is installed."""
    reading = Reading(file, strategies or registry.strategies(), health_checks or registry.health_checks())
    root = compose(decode(text, file) if isinstance(text, bytes) else text, reading)
    if root is None or root.value is None:
        reading.fail(0, 0, "", "is empty")
    config = read_config(Spot(root, "", reading))
    if config is not None and not reading.problems:
        for validator in validators:
            reading.problems += validator(config, reading.place)
    if config is None or reading.problems:
        reading.refuse()
    return evolve(config, warnings=tuple(map(str, reading.warnings)))
