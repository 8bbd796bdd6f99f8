"""YAML to values that remember where they stand.

The tree is composed from PyYAML's events, not with its constructors, so that no tag ever makes an object, and in a loop
that counts: nesting, values, and what aliases multiply them to are bounded, hence so is the time.

Keys are always text, as written. A value under a key stands where its key stands, since that is what a reader of an
error looks for.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn, Protocol

import yaml
from attrs import define, field

from txlb.config.nodes import Node, place_in, resolve
from txlb.config.words import step

MOST_VALUES = 250_000
"""How many values a document may hold, each use of an alias counted with all that it stands for."""

DEEPEST = 32
"""How deep lists and mappings may nest; the format itself needs seven."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Report(Protocol):
    """Where the composer tells what is wrong; `fail` does not return."""

    def problem(self, line: int, column: int, path: str, message: str) -> None:
        """Go on after it."""

    def fail(self, line: int, column: int, path: str, message: str) -> NoReturn:
        """Go no further."""


_NO_KEY = Node(0, 0, None)
"""Stands for a key that cannot be one; what it leads to is dropped."""


def compose(text: str, report: Report) -> Node | None:
    """The document in `text`, or None when it holds nothing; what is wrong goes to `report`."""
    if found := _UNPRINTABLE.search(text):
        line, column = place_in(text, found.start())
        report.fail(line, column, "", f"the character U+{ord(found[0]):04X} is not allowed in YAML")
    composer = _Composer(report)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.feed(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        report.fail(mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, "", _syntax(error, text))
    except yaml.YAMLError as error:
        report.fail(0, 0, "", f"not valid YAML: {error}")
    return composer.root


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    message = f"not valid YAML: {error.problem}"
    begun = error.context_mark.line if error.context_mark else None
    if error.context and begun is not None and error.problem_mark and begun != error.problem_mark.line:
        message += f" ({error.context} that begins in line {begun + 1})"
    lines = text.splitlines()
    line = lines[error.problem_mark.line] if error.problem_mark and error.problem_mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        message += "; indent with spaces, not with tabs"
    if error.problem == "found unknown escape character":
        message += "; a backslash needs single quotes or none"
    return message


@define(eq=False, slots=True)
class _Open:
    """A list or a mapping that is being composed. A list has no use for `key` and `merged`."""

    node: Node
    anchor: str | None
    key: Node | None = None
    merged: list[Node] = field(factory=list)


@define(eq=False, slots=True)
class _Composer:
    report: Report
    root: Node | None = None
    stack: list[_Open] = field(factory=list)
    anchors: dict[str, Node | None] = field(factory=dict)
    documents: int = 0
    total: int = 0

    def feed(self, event: Any) -> None:
        """Take the next event."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match event:
            case yaml.ScalarEvent():
                self._tag(event, line, column)
                value = resolve(event.value) if event.implicit[0] and event.tag is None else event.value
                self._count(1, line, column)
                self._complete(Node(line, column, value, event.value), event.anchor)
            case yaml.AliasEvent():
                self._alias(str(event.anchor), line, column)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._tag(event, line, column)
                self._open(Node(line, column, {} if isinstance(event, yaml.MappingStartEvent) else []), event.anchor)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self.report.fail(line, column, "", "a second document begins here; there must be one only")

    def _open(self, node: Node, anchor: str | None) -> None:
        if len(self.stack) >= DEEPEST:
            self.report.fail(node.line, node.column, "", f"nested deeper than {DEEPEST} levels")
        self._count(1, node.line, node.column)
        if anchor is not None:
            self.anchors[anchor] = None  # not complete yet
        self.stack.append(_Open(node, anchor))

    def _close(self) -> None:
        done = self.stack.pop()
        for source in done.merged:
            self._merge(done.node.value, source)
        self._complete(done.node, done.anchor)

    def _alias(self, anchor: str, line: int, column: int) -> None:
        if anchor not in self.anchors:
            self.report.fail(line, column, self._path(), f"*{anchor} stands for nothing: there is no &{anchor} before")
        node = self.anchors[anchor]
        if node is None:
            self.report.fail(line, column, self._path(), f"*{anchor} stands inside of what it stands for")
        else:
            self._count(node.size, line, column)
            self._complete(node.at(line, column), None)

    def _count(self, values: int, line: int, column: int) -> None:
        self.total += values
        if self.total > MOST_VALUES:
            self.report.fail(line, column, "", f"more than {MOST_VALUES} values, those behind aliases counted")

    def _complete(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        inside = self.stack[-1]
        inside.node.size += node.size
        if isinstance(inside.node.value, list):
            inside.node.value.append(node)
        elif inside.key is None:
            inside.key = self._as_key(node)
        else:
            self._enter(inside, inside.key, node)
            inside.key = None

    def _as_key(self, node: Node) -> Node:
        if isinstance(node.value, dict | list):
            self.report.problem(node.line, node.column, self._path(), "a key must be text")
            return _NO_KEY
        return node

    def _enter(self, inside: _Open, key: Node, node: Node) -> None:
        if key is _NO_KEY:
            return
        if key.value is None and not key.text:
            self.report.problem(key.line, key.column, self._path(above=True), "a key is missing before the colon")
        elif key.text == "<<":
            inside.merged += node.value if isinstance(node.value, list) else [node]
        elif key.text in inside.node.value:
            first = inside.node.value[key.text].line
            self.report.problem(key.line, key.column, self._path(), f"given twice; the first is in line {first}")
        else:
            inside.node.value[key.text] = node.at(key.line, key.column)

    def _merge(self, into: dict[str, Node], source: Node) -> None:
        if not isinstance(source.value, dict):
            self.report.problem(source.line, source.column, self._path(), "<< takes a mapping or a list of mappings")
            return
        for key, node in source.value.items():
            into.setdefault(key, node)

    def _tag(self, event: Any, line: int, column: int) -> None:
        if event.tag not in _TEXT_TAGS:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.report.problem(line, column, self._path(), f"the tag {tag} is not allowed; values are written plainly")

    def _path(self, above: bool = False) -> str:
        """Where the composer is now: through the open lists and mappings."""
        path = ""
        for inside in self.stack[: -1 if above else None]:
            if isinstance(inside.node.value, list):
                path = step(path, len(inside.node.value))
            elif inside.key is not None:
                path = step(path, inside.key.text)
        return path
