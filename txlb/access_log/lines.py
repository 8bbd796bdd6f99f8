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

_JSON_LINE = (
    '{"time":"%s","client":%s,"client_port":%d,"listener":%s,"pool":%s,"backend":%s,"strategy":%s,"tries":%d,'
    '"bytes_in":%d,"bytes_out":%d,"connect":%s,"first_byte":%s,"duration":%.6f,"outcome":"%s","reason":%s,"blame":"%s"}\n'
)


class Timestamp:
    """Wall-clock seconds to ISO 8601 in UTC with milliseconds; lines of one second share the work."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, seconds: float) -> str:
        """Such as `2026-03-01T09:30:00.125Z`."""
        second = int(seconds // 1)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return "%s.%03dZ" % (self._text, (seconds - second) * 1000)  # noqa: UP031 (a third faster)


timestamp = Timestamp()


def json_line(event: ConnectionClosed) -> str:
    """One object on one line; times are in seconds, and null where it did not come so far."""
    connect, first_byte, outcome = event.connect, event.first_byte, event.outcome
    return _JSON_LINE % (
        timestamp(event.started),
        quote(event.client_host),
        event.client_port,
        quote(event.listener),
        quote(event.pool),
        quote(event.backend),
        quote(event.strategy),
        event.tries,
        event.bytes_in,
        event.bytes_out,
        "null" if connect is None else "%.6f" % connect,  # noqa: UP031
        "null" if first_byte is None else "%.6f" % first_byte,  # noqa: UP031
        event.duration,
        outcome,
        quote(event.reason),
        BLAME[outcome],  # type: ignore[index]  # a StrEnum is its text
    )


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
