"""The words of messages: paths, the nearest known key, and text cut to one line of bearable length."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

_PLAIN_KEY = re.compile(r"[\w.@/:+\\=-]{1,120}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def step(path: str, key: str | int) -> str:
    """The path one step further in: `pools.web`, `backends[0]`; keys that would be hard to read are quoted."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    shown = key if _PLAIN_KEY.fullmatch(key) else clip(json.dumps(key), 80)
    return f"{path}.{shown}" if path else shown


def path_of(*steps: str | int) -> str:
    """The path of these steps from the top, such as `path_of("pools", "web", "backends", 0, "weight")`."""
    path = ""
    for key in steps:
        path = step(path, key)
    return path


def clip(text: str, most: int) -> str:
    """`text`, cut where it is longer than `most`, on one line."""
    text = _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text[: most + 1])
    return text if len(text) <= most else f"{text[: most - 1]}…"


def nearest(key: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where one of `known` is near, else nothing."""
    near = difflib.get_close_matches(key, list(known), 1) if len(key) <= 40 else []
    return f"; did you mean {near[0]}?" if near else ""
