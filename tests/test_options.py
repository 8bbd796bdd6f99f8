"""Options of plugins: described, checked and built from typed fields."""

from __future__ import annotations

import dataclasses
import enum
import random
from typing import Any, Literal

from attrs import define, field, frozen, validators
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.errors import OptionError
from txlb.options import Option, build, check, describe
from txlb.units import Seconds


class Colour(enum.Enum):
    """An option's values."""

    RED = "red"
    BLUE = "blue"


class Way(enum.StrEnum):
    """Members that are texts."""

    IN = "in"
    OUT = "out"


class Level(enum.IntEnum):
    """Members that are numbers."""

    LOW = 1


@define
class Chosen:
    """Options of these."""

    way: Way = Way.IN
    level: Level = Level.LOW


def _at_least_one(instance: object, attribute: Any, value: int) -> None:
    if value < 1:
        raise ValueError("must be 1 or more", attribute, value)


@define
class Everything:
    """A class with a field of every type that an option can have, and those that are given."""

    must: str
    clock: IReactorTime
    rng: random.Random
    count: int = field(default=2, validator=_at_least_one, metadata={"help": "how many"})
    share: float = 0.5
    wait: Seconds = field(default=Seconds(2.0))
    on: bool = False
    kind: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    names: list[str] = field(factory=list)
    codes: frozenset[int] = frozenset({200, 404})
    pair: tuple[float, ...] = ()
    limit: int | None = None
    computed: int = field(init=False, default=0)


@dataclasses.dataclass
class Data:
    """The same by the standard library's means."""

    size: int
    sizes: list[int] = dataclasses.field(default_factory=lambda: [1, 2], metadata={"help": "some"})
    computed: int = dataclasses.field(init=False, default=0)


class Plain:
    """A class without fields."""


@frozen
class Private:
    """attrs drops the underscore of a private field in the constructor, and so does the option."""

    _seed: int = 3


@frozen
class Range:
    """Two options that have to fit together."""

    low: int = 0
    high: int = 9

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


GIVEN: dict[str, Any] = {"clock": Clock(), "rng": random.Random(1)}


class DescribeTests(SynchronousTestCase):
    """`describe`"""

    def test_says_name_type_default_and_help(self) -> None:
        """In the words of the configuration; fields that are given or computed are no options."""
        expected = [
            ("must", "text", None), ("count", "integer", "2"), ("share", "number", "0.5"), ("wait", "duration", "2s"),
            ("on", "true | false", "false"), ("kind", "a | b", "a"), ("colour", "red | blue", "red"),
            ("names", "list of text", "[]"), ("codes", "list of integer", "[200, 404]"),
            ("pair", "list of number", "[]"), ("limit", "integer", "none"),
        ]  # fmt: skip
        self.assertEqual([(o.name, o.type, o.default) for o in describe(Everything)], expected)
        self.assertEqual([o.help for o in describe(Everything) if o.help], ["how many"])

    def test_dataclass(self) -> None:
        """A dataclass is described as an attrs class is."""
        expected = [Option("size", "integer", None, ""), Option("sizes", "list of integer", "[1, 2]", "some")]
        self.assertEqual(describe(Data), expected)

    def test_lists_keep_their_order(self) -> None:
        """A default list is shown as it is; only a set, which has no order, is sorted, and by value."""

        @define
        class Ordered:
            steps: list[int] = field(factory=lambda: [30, 4])
            ports: frozenset[int] = frozenset({100, 9})
            colours: frozenset[Colour] = frozenset(Colour)

        self.assertEqual([o.default for o in describe(Ordered)], ["[30, 4]", "[9, 100]", "[blue, red]"])

    def test_without_fields(self) -> None:
        """A class without typed fields has no options."""
        self.assertEqual(describe(Plain), [])

    def test_private_field(self) -> None:
        """The option's name is the constructor's argument."""
        self.assertEqual([o.name for o in describe(Private)], ["seed"])
        self.assertEqual(build(Private, {"seed": 5}), Private(5))


class BuildTests(SynchronousTestCase):
    """`build` and `check`"""

    def test_builds_from_what_is_written(self) -> None:
        """Each type gets its Python value; what is given is handed in."""
        options = {
            "must": "x", "count": 3, "share": 1, "wait": "250ms", "on": True, "kind": "b", "colour": "blue",
            "names": ["a"], "codes": [200], "pair": [1, 2.5], "limit": None,
        }  # fmt: skip
        made = build(Everything, options, **GIVEN)
        expected = Everything(
            "x", GIVEN["clock"], GIVEN["rng"], 3, 1.0, Seconds(0.25), True, "b", Colour.BLUE, ["a"],
            frozenset({200}), (1.0, 2.5), None,
        )  # fmt: skip
        self.assertEqual(made, expected)
        self.assertIs(type(made.share), float)
        self.assertEqual(check(Everything, options), [])

    def test_gives_only_what_is_wanted(self) -> None:
        """A class without a field for it is not handed the clock."""
        self.assertIsInstance(build(Plain, {}, **GIVEN), Plain)
        self.assertEqual(build(Range, {"low": 1}, **GIVEN), Range(1, 9))

    def test_tells_all_problems(self) -> None:
        """Each with its option: unknown, of a wrong type, missing."""
        problems = check(Everything, {"cuont": 1, "on": 1, "clock": 3})
        self.assertEqual([p.option for p in problems], ["cuont", "on", "clock", "must"])
        self.assertIn("unknown option", problems[0].message)
        self.assertIn("count", problems[0].message)
        self.assertEqual(problems[1].message, "must be true or false, not 1")
        self.assertIn("unknown option", problems[2].message)
        self.assertEqual(problems[3].message, "is required")

    def test_converts_nothing_silently(self) -> None:
        """A text is no number, a truth value is no number, a text is no list; the message says what would be right."""
        wrong = [
            ("must", 1, "text"), ("count", "3", "whole number"), ("count", True, "whole number"),
            ("count", 3.0, "whole number"), ("share", "0.5", "number"), ("share", True, "number"), ("wait", "2", "250ms"),
            ("on", "yes", "true or false"), ("kind", "c", "a, b"), ("colour", "green", "red, blue"),
            ("names", "abc", "list"), ("names", [1], "text"), ("codes", ["a"], "whole number"),
            ("limit", "none", "whole number"), ("must", None, "text"), ("kind", [], "a, b"), ("colour", {}, "red, blue"),
            ("share", float("nan"), "number"), ("share", float("inf"), "number"), ("codes", [[]], "whole number"),
        ]  # fmt: skip
        for name, value, words in wrong:
            with self.subTest(name=name, value=value):
                [problem] = check(Everything, {"must": "x", name: value})
                self.assertEqual(problem.option, name)
                self.assertIn(words, problem.message)
                self.assertRaises(OptionError, build, Everything, {"must": "x", name: value}, **GIVEN)

    def test_enums_of_texts_and_numbers(self) -> None:
        """An enum whose members are texts or numbers takes its values and nothing else."""
        [way, level] = check(Chosen, {"way": "up", "level": 2})
        self.assertEqual(way.message, "must be one of in, out, not 'up'")
        self.assertEqual(level.message, "must be one of 1, not 2")
        self.assertIs(build(Chosen, {"way": "out"}).way, Way.OUT)

    def test_literals_are_exact(self) -> None:
        """1 is not True and 1.0 is not 1, though Python calls them equal."""

        @define
        class Exact:
            version: Literal[1, 2] = 1

        self.assertEqual(check(Exact, {"version": 2}), [])
        self.assertEqual(len(check(Exact, {"version": True})), 1)
        self.assertEqual(len(check(Exact, {"version": 2.0})), 1)

    def test_validators_speak(self) -> None:
        """What a validator says is about its option; what the whole class says, about none."""
        [problem] = check(Everything, {"must": "x", "count": 0})
        self.assertEqual((problem.option, problem.message), ("count", "must be 1 or more"))
        [problem] = check(Range, {"low": 7, "high": 3})
        self.assertEqual((problem.option, problem.message), ("", "low must not be above high"))

    def test_validators_of_attrs(self) -> None:
        """The ready-made validators are understood too."""

        @define
        class Checked:
            size: int = field(default=1, validator=validators.ge(1))

        [problem] = check(Checked, {"size": 0})
        self.assertIn("1", problem.message)

    def test_a_default_is_not_shared(self) -> None:
        """Two instances do not share a list."""
        first, second = (build(Data, {"size": 1}) for _ in range(2))
        first.sizes.append(3)
        self.assertEqual(second.sizes, [1, 2])

    @given(st.dictionaries(st.sampled_from(["must", "count", "wait", "names", "limit", "colour", "x"]),
                           st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)))  # fmt: skip
    def test_any_input_is_built_or_refused(self, options: dict[str, Any]) -> None:
        """`check` and `build` agree on every input, and neither raises anything but OptionError."""
        if check(Everything, options):
            self.assertRaises(OptionError, build, Everything, options, **GIVEN)
        else:
            self.assertIsInstance(build(Everything, options, **GIVEN), Everything)
