"""An event to a line.

This runs once for each connection, so the fixed part of a line is made once, and text is escaped by the C encoder of
`json`: what comes out is printable ASCII whatever went in, so that no name or reason can forge a line or a field.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quote

from txlb.events import ConnectionClosed
from txlb.interfaces import Outcome

JSON = "json"

MakeLine = Callable[[ConnectionClosed], str]

BLAME = {
    Outcome.OK: "nobody",
    Outcome.REFUSED: "backend",
    Outcome.CONNECT_TIMEOUT: "backend",
    Outcome.RESET_BY_BACKEND: "backend",
    Outcome.RESET_BY_CLIENT: "client",
    Outcome.IDLE_TIMEOUT: "nobody",
    Outcome.HALF_CLOSE_TIMEOUT: "nobody",
    Outcome.LINGER_TIMEOUT: "nobody",
    Outcome.LOCAL_ERROR: "balancer",
    Outcome.REJECTED: "balancer",
    Outcome.DRAINED: "balancer",
}
"""Whose fault an outcome is. A timeout tells that nothing came, and not who should have sent it."""

_TEXTS = {outcome: outcome.value for outcome in Outcome}

_JSON_LINE = (
    '{"time":"%s.%03dZ","client":%s,"client_port":%d,"listener":%s,"pool":%s,"backend":%s,"strategy":%s,"tries":%d,'
    '"bytes_in":%d,"bytes_out":%d,"connect":TIME,"first_byte":TIME,"duration":%.6f,'
    '"outcome":"%s","reason":%s,"blame":"%s"}\n'
)
_FULL_LINE = _JSON_LINE.replace("TIME", "%.6f")
_PART_LINE = _JSON_LINE.replace("TIME", "%s")


class Second:
    """The text of a second in ISO 8601, which the lines of that second share."""

    def __init__(self) -> None:
        self.number = -1
        self.text = ""

    def become(self, number: int) -> None:
        """Have the text of this second since the epoch."""
        self.number, self.text = number, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(number))


_second = Second()


def timestamp(seconds: float) -> str:
    """Such as `2026-03-01T09:30:00.125Z`."""
    number = int(seconds // 1)
    if number != _second.number:
        _second.become(number)
    return f"{_second.text}.{int((seconds - number) * 1000):03}Z"


def json_line(event: ConnectionClosed) -> str:
    """One object on one line; times are in seconds, and null where it did not come so far."""
    started, connect, first_byte, outcome = event.started, event.connect, event.first_byte, event.outcome
    second = int(started // 1)
    if second != _second.number:
        _second.become(second)
    line, connect_shown, first_byte_shown = _FULL_LINE, connect, first_byte
    if connect is None or first_byte is None:
        line, connect_shown, first_byte_shown = _PART_LINE, _or_null(connect), _or_null(first_byte)  # type: ignore[assignment]
    return line % (
        _second.text,
        (started - second) * 1000,
        quote(event.client_host),
        event.client_port,
        quote(event.listener),
        quote(event.pool),
        quote(event.backend),
        quote(event.strategy),
        event.tries,
        event.bytes_in,
        event.bytes_out,
        connect_shown,
        first_byte_shown,
        event.duration,
        _TEXTS[outcome],  # type: ignore[index]  # a StrEnum is its text
        quote(event.reason),
        BLAME[outcome],  # type: ignore[index]
    )


def _or_null(value: float | None) -> str:
    return "null" if value is None else f"{value:.6f}"


def _text(value: str) -> str:
    return quote(value)[1:-1] or "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.3f}"


FIELDS: dict[str, MakeLine] = {
    "time": lambda event: timestamp(event.started),
    "client": lambda event: _text(event.client_host),
    "client_port": lambda event: str(event.client_port),
    "listener": lambda event: _text(event.listener),
    "pool": lambda event: _text(event.pool),
    "backend": lambda event: _text(event.backend),
    "strategy": lambda event: _text(event.strategy),
    "tries": lambda event: str(event.tries),
    "bytes_in": lambda event: str(event.bytes_in),
    "bytes_out": lambda event: str(event.bytes_out),
    "connect": lambda event: _seconds(event.connect),
    "connect_ms": lambda event: _milliseconds(event.connect),
    "first_byte": lambda event: _seconds(event.first_byte),
    "first_byte_ms": lambda event: _milliseconds(event.first_byte),
    "duration": lambda event: _seconds(event.duration),
    "duration_ms": lambda event: _milliseconds(event.duration),
    "outcome": lambda event: str(event.outcome),
    "reason": lambda event: _text(event.reason),
    "blame": lambda event: BLAME[event.outcome],  # type: ignore[index]
}
"""What a template may name."""


def line_maker(format: str) -> MakeLine:
    """What makes lines of this format; raises ValueError with what is wrong with it."""
    return json_line if format == JSON else _template(format)


def check_format(format: str) -> str | None:
    """What is wrong with this format, or None."""
    try:
        line_maker(format)
    except ValueError as error:
        return str(error)
    return None


def _template(format: str) -> MakeLine:
    fixed, fields = "", []
    for literal, name, spec, conversion in string.Formatter().parse(format):
        fixed += literal.replace("%", "%%")
        if name is not None:
            fields.append(_field(name, spec, conversion))
            fixed += "%s"
    if not fields:
        raise ValueError("names no field: write json, or a template such as '{client} {outcome}'")
    if any(not character.isprintable() and character != "\t" for character in format):
        raise ValueError("must be printable and on one line")
    fixed += "\n"
    return lambda event: fixed % tuple([field(event) for field in fields])


def _field(name: str, spec: str | None, conversion: str | None) -> MakeLine:
    if spec or conversion:
        raise ValueError(f"{{{name}}} takes no conversion and no format of its own")
    if name not in FIELDS:
        raise ValueError(f"there is no field {name!r}; there are {', '.join(FIELDS)}")
    return FIELDS[name]
