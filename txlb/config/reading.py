"""One pass over one file: the problems found so far, where each path stands, and the plugins to ask.

Every part of the room gets a `Spot`: a value of the document together with its path and the reading that it belongs to.
A parser takes a spot and returns a value. One that can say what is wrong in a sentence raises ValueError with it; one
that reads several values writes its problems down itself and returns None, so that all problems are found in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from attrs import define, field, frozen

from txlb.config.nodes import Node
from txlb.config.words import clip, step
from txlb.errors import ConfigError, Problem
from txlb.registry import Registry

MOST_PROBLEMS = 500
"""A file with more is not the one that was meant; reading stops there."""

T = TypeVar("T")


@define(eq=False)
class Reading:
    """What is known while a file is read."""

    file: str
    strategies: Registry
    health_checks: Registry
    problems: list[Problem] = field(factory=list)
    warnings: list[Problem] = field(factory=list)
    places: dict[str, tuple[int, int]] = field(factory=dict)
    questions: list[Callable[[], None]] = field(factory=list)
    """For plugins, who are asked when all is read."""

    def problem(self, line: int, column: int, path: str, message: str) -> None:
        """Write a problem down; raises ConfigError when there are too many to go on."""
        self.problems.append(Problem(self.file, line, column, path, clip(message, 500)))
        if len(self.problems) >= MOST_PROBLEMS:
            self.fail(0, 0, "", f"more than {MOST_PROBLEMS - 1} problems; the rest was not read")

    def fail(self, line: int, column: int, path: str, message: str) -> NoReturn:
        """Nothing more can be read: raises ConfigError with all problems so far and this one."""
        self.problems.append(Problem(self.file, line, column, path, clip(message, 500)))
        self.refuse()

    def refuse(self) -> NoReturn:
        """Raise ConfigError with all problems so far, in the order of the file."""
        raise ConfigError(sorted(self.problems, key=lambda p: (p.line == 0 and bool(p.path), p.line, p.column)))

    def place(self, path: str) -> Callable[[str], Problem]:
        """A maker of problems at `path`, or at the nearest path above it that the file has."""
        while path not in self.places and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        line, column = self.places.get(path, (0, 0))
        return lambda message: Problem(self.file, line, column, path, clip(message, 500))


@frozen(eq=False)
class Spot:
    """A value of the document and where it stands."""

    node: Node
    path: str
    reading: Reading

    @property
    def value(self) -> Any:
        """A scalar as it is; lists and mappings are read with `items` and `fields`."""
        return self.node.value

    @property
    def shown(self) -> str:
        """The value as messages show it."""
        match self.node.value:
            case dict():
                return "a mapping"
            case list():
                return "a list"
            case None:
                return "nothing"
            case str(text):
                return repr(clip(text, 60))
        return self.node.text

    def wrong(self, message: str) -> None:
        """Write a problem down at this place."""
        self.reading.problem(self.node.line, self.node.column, self.path, message)

    def missing(self, key: str) -> None:
        """Write down that a key of this mapping is not given."""
        self.reading.problem(self.node.line, self.node.column, step(self.path, key), "is missing")

    def warn(self, message: str) -> None:
        """Write a warning down at this place."""
        self.reading.warnings.append(
            Problem(self.reading.file, self.node.line, self.node.column, self.path, clip(message, 500))
        )

    def take(self, parse: Callable[[Spot], T | None]) -> T | None:
        """What `parse` makes of it; None when that was wrong, which is then written down."""
        try:
            return parse(self)
        except ValueError as error:
            self.wrong(str(error))
            return None

    def fields(self) -> dict[str, Spot]:
        """The values of a mapping by their keys; raises ValueError for anything else."""
        if not isinstance(self.node.value, dict):
            raise ValueError(f"must be a mapping, not {self.shown}")
        return {key: self._inner(node, key) for key, node in self.node.value.items()}

    def items(self) -> list[Spot]:
        """The items of a list; raises ValueError for anything else."""
        if not isinstance(self.node.value, list):
            raise ValueError(f"must be a list, not {self.shown}")
        return [self._inner(node, index) for index, node in enumerate(self.node.value)]

    def plain(self) -> Any:
        """The value with nothing of the document left in it, as plugins get it."""
        return self.node.plain()

    def _inner(self, node: Node, key: str | int) -> Spot:
        path = step(self.path, key)
        self.reading.places[path] = (node.line, node.column)
        return Spot(node, path, self.reading)
