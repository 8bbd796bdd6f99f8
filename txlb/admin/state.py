"""The state in JSON, made in slices, so that a thousand backends hold up no connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from txlb.clock import in_slices

DEPTH = 4
"""Mappings down to `pools.NAME.backends.NAME` are entered; what is below is small."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


def encode(state: dict[str, Any], clock: IReactorTime) -> Deferred[bytes]:
    """A Deferred of the state in JSON, on one line."""
    pieces: list[str] = []
    return in_slices(clock, map(pieces.append, _pieces(state, DEPTH))).addCallback(lambda _: "".join(pieces).encode())


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if not depth or not isinstance(value, dict) or not value:
        yield _encode(value)
        return
    before = "{"
    for key, inner in value.items():
        yield f"{before}{_encode(key)}:"
        yield from _pieces(inner, depth - 1)
        before = ","
    yield "}"
