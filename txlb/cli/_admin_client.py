"""Ask the admin of a running balancer: found by the balancer's own configuration, or named. No reactor."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from attrs import frozen

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import parse_endpoint
from txlb.config.words import clip
from txlb.errors import OptionError
from txlb.specs import AdminSpec

TIMEOUT = 2.0
SILENCE = 60.0
"""Seconds without a byte, not even a heartbeat, after which a stream of events is dead."""

LONGEST = 64 * 1024 * 1024
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class NoAnswer(Exception):
    """Nobody there, or no answer that can be used; the message goes on from "The admin at … "."""


class Refused(NoAnswer):
    """The admin is there, and says no. `reason` is in its words, or empty."""

    def __init__(self, status: int, reason: str, problems: tuple[str, ...] = ()) -> None:
        self.status = status
        self.reason = reason
        self.problems = problems
        super().__init__(f"answers with status {status}" + (f": {reason}" if reason else ""))


@frozen
class Target:
    """Where an admin is. `port` of 0: `host` is the path of a UNIX socket. `shown` is as the operator wrote it."""

    shown: str
    host: str
    port: int
    secure: bool = False
    token_file: str | None = None

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, timeout: float = TIMEOUT) -> Any:
        """The JSON object that comes back. Raises NoAnswer, or Refused for a status above 299."""
        connection = self._connection(timeout)
        try:
            response = self._ask(connection, method, path, body)
            return _decoded(response.status, _read(response))
        finally:
            connection.close()

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """(kind, data) of each event, as they come. Raises NoAnswer at once, or when the stream ends."""
        connection = self._connection(SILENCE)
        try:
            response = self._ask(connection, "GET", path, None)
            if response.status != 200:
                _decoded(response.status, _read(response))
            yield from _events(response)
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(error) from None
        finally:
            connection.close()
        raise NoAnswer("ended the stream of events")

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", **self._token()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(error) from None

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if not self.port:
            return _UnixConnection(self.host, timeout)
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=timeout)

    def _token(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            token = Path(self.token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise NoAnswer(f"wants the token of {self.token_file}, which cannot be read") from None
        return {"Authorization": f"Bearer {token}"}


def of_spec(admin: AdminSpec) -> Target:
    """The admin that a configuration describes. Raises NoAnswer where it is none that can be found from there."""
    endpoint = parse_endpoint(admin.listen, SERVER)
    if endpoint.kind == "unix":
        return Target(admin.listen, endpoint.values["address"], 0, token_file=admin.token_file)
    if endpoint.kind not in ("tcp", "tcp6") or not int(endpoint.values["port"]):
        raise NoAnswer("cannot be asked by this command; name it with --admin")
    interface = endpoint.values.get("interface", "::" if endpoint.kind == "tcp6" else "")
    host = _EVERYWHERE.get(interface, interface)
    return Target(admin.listen, host, int(endpoint.values["port"]), token_file=admin.token_file)


def of_name(name: str, token_file: str | None) -> Target:
    """The admin at a URL such as `http://127.0.0.1:9090`, or on the UNIX socket `unix:/run/admin.sock`. Raises OptionError."""
    path = name.removeprefix("unix:")
    if path.startswith("/"):
        return Target(name, path, 0, token_file=token_file)
    try:
        parts = urlsplit(name)
        port = parts.port
    except ValueError as error:
        raise OptionError("--admin", str(error)) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or port == 0:
        raise OptionError("--admin", f"must be such as http://127.0.0.1:9090 or unix:/run/admin.sock, not {name!r}")
    secure = parts.scheme == "https"
    return Target(name, parts.hostname, port or (443 if secure else 80), secure, token_file)


def fill(path: str, *values: str) -> str:
    """`path` with each `{}` filled with an escaped value."""
    return path.format(*(quote(value, safe="") for value in values))


def ask(admin: AdminSpec, path: str, *values: str) -> dict[str, Any]:
    """GET `path`, its `{}` filled with the escaped values; the JSON object that comes back. Raises NoAnswer."""
    found: dict[str, Any] = of_spec(admin).request("GET", fill(path, *values))
    return found


class _UnixConnection(http.client.HTTPConnection):
    """To the UNIX socket of a path."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _no_answer(error: Exception) -> NoAnswer:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return NoAnswer(f"does not answer ({why.lower()})")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(LONGEST)
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(error) from None


def _decoded(status: int, body: bytes) -> Any:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if status > 299:
        said = found if isinstance(found, dict) else {}
        problems = said.get("problems")
        listed = tuple(clip(str(problem), 1000) for problem in problems) if isinstance(problems, list) else ()
        raise Refused(status, clip(str(said.get("error", "")), 500), listed)
    if found is None:
        raise NoAnswer("does not answer in JSON")
    if not isinstance(found, dict):
        raise NoAnswer("does not answer with an object")
    return found


def _events(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    kind, data = "", ""
    for line in lines:
        field, _, value = line.decode(errors="replace").rstrip("\r\n").partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            data = value
        elif not field and data:
            try:
                yield kind, json.loads(data)
            except ValueError:
                raise NoAnswer("sends events that are not JSON") from None
            kind, data = "", ""
