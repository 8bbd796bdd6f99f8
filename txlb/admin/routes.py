"""Which handler a path and a method have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from attrs import frozen

from txlb.admin.access import Audience
from txlb.admin.answers import Refusal

Handler = Callable[..., Any]
"""Called with the request and the values in the path; returns an Answer, a Deferred of one, or None when it answers itself."""


@frozen
class Route:
    """`path` is such as `/api/v1/pools/{}/explain`; each `{}` is one percent-encoded segment, slashes and all."""

    path: str
    audience: Audience
    handlers: Mapping[str, Handler]

    def values(self, segments: list[str]) -> list[str] | None:
        """The values for the placeholders; None where it is another path."""
        own = self.path.split("/")
        if len(own) != len(segments):
            return None
        if any(mine not in ("{}", theirs) for mine, theirs in zip(own, segments, strict=True)):
            return None
        return [theirs for mine, theirs in zip(own, segments, strict=True) if mine == "{}"]

    def handler(self, method: str) -> Handler:
        """Raises Refusal for a method that this path does not have. HEAD is a GET whose body is not sent."""
        found = self.handlers.get("GET" if method == "HEAD" else method)
        if found is None:
            allowed = [*self.handlers, *(["HEAD"] if "GET" in self.handlers else [])]
            raise Refusal(405, f"this path takes {', '.join(allowed)}", {"Allow": ", ".join(allowed)})
        return found


def find(routes: tuple[Route, ...], path: bytes) -> tuple[Route, list[str]]:
    """The route of a path, and the values in it. Raises Refusal."""
    segments = _segments(path)
    for route in routes:
        if (values := route.values(segments)) is not None:
            return route, values
    raise Refusal(404, "there is nothing at this path")


def _segments(path: bytes) -> list[str]:
    try:
        return [unquote_to_bytes(segment).decode() for segment in path.split(b"/")]
    except UnicodeDecodeError:
        raise Refusal(400, "the path is not UTF-8") from None
