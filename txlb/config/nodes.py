"""A value of the document with its place, and what an unquoted scalar means.

Scalars follow YAML 1.2's core schema rather than PyYAML's 1.1, whose `on`, `1:30` and `010` surprise: those are text
here, and so a clear error wherever a number or a flag is wanted. What PyYAML takes for text is text here too, so that
what it wrote without quotes, such as `1e3`, reads back as it was.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import define

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)|([-+]?(0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
_WORDS: dict[str, Any] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan"))
_WORDS |= dict.fromkeys((".inf", "+.inf", ".Inf", ".INF"), float("inf")) | {"-.inf": float("-inf")}


@define(eq=False, slots=True)
class Node:
    """A value and where it stands, counted from 1. `text` is a scalar as written, `size` the values in it."""

    line: int
    column: int
    value: Any
    text: str = ""
    size: int = 1

    def at(self, line: int, column: int) -> Node:
        """The same value standing elsewhere."""
        return Node(line, column, self.value, self.text, self.size)

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def resolve(text: str) -> Any:
    """What an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if len(text) < 40 and _FLOAT.fullmatch(text) else text


def place_in(text: str, index: int) -> tuple[int, int]:
    """The line and column of a character."""
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")
