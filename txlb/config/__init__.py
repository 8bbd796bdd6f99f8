"""The configuration: YAML in, one frozen `txlb.specs.Config` out, or every problem at once with its line.

    source    bytes to text            what can be wrong with a file
    document  nodes                    text to values: YAML, with the place of each; bounded
    reading   the pass                 problems, places, and a `Spot` for each value
    scalars   endpoints(_forms) plugins    parsers of single values
    section   tables of fields         parsers of mappings
    pools     top                      the tables themselves: the format is there to be read

Nothing here opens a socket or asks the reactor. What needs that is a validator, handed in from above: it gets a sound
`Config` and `place`, which turns a path such as `path_of("admin", "token_file")` into a maker of problems there. An
adviser is the same, and what it has to say are warnings.

A `Draft` is what the file alone says. To make one runs nobody else's code, so that a thread can do it; plugins are asked
about their options, and validators about the whole, when it is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import evolve, frozen

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
Validator = Callable[[Config, Place], Iterable[Problem | None]]
"""None where it is a good moment to let others have their turn."""

__all__ = ["Draft", "Place", "Validator", "check_target", "draft", "load", "parse", "path_of"]


@frozen
class Draft:
    """A file that was read and is yet to be judged; the configuration may be None where something is wrong with it."""

    config: Config | None
    reading: Reading

    def judge(self, validators: Iterable[Validator] = (), advisers: Iterable[Validator] = ()) -> Iterator[None]:
        """Ask plugins, validators and advisers, a step at a time; raises ConfigError only where there is too much wrong
        to go on."""
        for ask in self.reading.questions:
            ask()
            yield
        for voices, said in ((validators, self.reading.problems), (advisers, self.reading.warnings)):
            if self.config is None or self.reading.problems:
                return
            for voice in voices:
                for problem in voice(self.config, self.reading.place):
                    said += [] if problem is None else [problem]
                    yield

    def settle(self) -> Config:
        """The configuration, once it was judged; raises ConfigError with all that is wrong with it."""
        if self.config is None or self.reading.problems:
            self.reading.refuse()
        return evolve(self.config, warnings=tuple(map(str, self.reading.warnings)))


def load(
    path: str,
    validators: Iterable[Validator] = (),
    strategies: Registry | None = None,
    health_checks: Registry | None = None,
    advisers: Iterable[Validator] = (),
) -> Config:
    """The configuration in the file at `path`; raises ConfigError with all that is wrong with it."""
    return parse(read_text(path), path, validators, strategies, health_checks, advisers)


def parse(
    text: str | bytes,
    file: str = "config.yaml",
    validators: Iterable[Validator] = (),
    strategies: Registry | None = None,
    health_checks: Registry | None = None,
    advisers: Iterable[Validator] = (),
) -> Config:
    """The configuration in `text`; raises ConfigError. The registries default to what is installed."""
    made = draft(text, file, strategies or registry.strategies(), health_checks or registry.health_checks())
    for _ in made.judge(validators, advisers):
        pass
    return made.settle()


def draft(text: str | bytes, file: str, strategies: Registry, health_checks: Registry) -> Draft:
    """What `text` alone says. Raises ConfigError where it cannot be read to its end."""
    reading = Reading(file, strategies, health_checks)
    root = compose(decode(text, file) if isinstance(text, bytes) else text, reading)
    if root is None or root.value is None:
        reading.fail(0, 0, "", "is empty")
    return Draft(read_config(Spot(root, "", reading)), reading)
