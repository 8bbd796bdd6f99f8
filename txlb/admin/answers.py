"""What the admin answers: a status, a body and headers. Every answer, the refusals too, has the security headers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

JSON = "application/json"

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


@frozen
class Answer:
    """One response. `headers` come after, and win over, those that every answer has."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(factory=dict)

    def all_headers(self) -> dict[str, str]:
        """What is sent, by name."""
        length = {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        return {**SECURITY_HEADERS, **length, **self.headers}


def answer(value: Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(value).encode() + b"\n", status=status)


class Refusal(Exception):
    """A request that is not served; the answer is JSON with an `error`, and `problems` where there are several."""

    def __init__(
        self, status: int, reason: str, headers: Mapping[str, str] | None = None, problems: Sequence[str] = ()
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers or {}
        self.problems = problems
        super().__init__(status, reason)

    def answer(self) -> Answer:
        """The response."""
        said: dict[str, Any] = {"error": self.reason, "status": self.status}
        if self.problems:
            said["problems"] = list(self.problems)
        return Answer(json.dumps(said).encode() + b"\n", status=self.status, headers=self.headers)
