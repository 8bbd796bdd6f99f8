"""Ask the admin of the running balancer, found by its own configuration. One request, a short timeout, no reactor."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import parse_endpoint
from txlb.specs import AdminSpec

TIMEOUT = 2.0
LONGEST = 16 * 1024 * 1024
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class NoAnswer(Exception):
    """Nobody there, or no answer that can be used; the message goes on from "The admin at … "."""


def ask(admin: AdminSpec, path: str, *values: str) -> dict[str, Any]:
    """GET `path`, its `{}` filled with the escaped values; the JSON object that comes back. Raises NoAnswer."""
    headers = {"Accept": "application/json", **_token(admin)}
    connection = _Connection(*_address(admin.listen))
    try:
        connection.request("GET", path.format(*(quote(value, safe="") for value in values)), headers=headers)
        response = connection.getresponse()
        body = response.read(LONGEST)
    except (OSError, http.client.HTTPException) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise NoAnswer(f"does not answer ({why.lower()})") from None
    finally:
        connection.close()
    if response.status != 200:
        raise NoAnswer(f"answers with status {response.status}")
    try:
        found = json.loads(body)
    except ValueError:
        raise NoAnswer("does not answer in JSON") from None
    if not isinstance(found, dict):
        raise NoAnswer("does not answer with an object")
    return found


class _Connection(http.client.HTTPConnection):
    """To a host and port, or, with port 0, to the UNIX socket of that path."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host if port else "localhost", port or None, timeout=TIMEOUT)
        self._path = "" if port else host

    def connect(self) -> None:
        if not self._path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def _address(listen: str) -> tuple[str, int]:
    endpoint = parse_endpoint(listen, SERVER)
    if endpoint.kind == "unix":
        return endpoint.values["address"], 0
    if endpoint.kind not in ("tcp", "tcp6") or not int(endpoint.values["port"]):
        raise NoAnswer("cannot be asked by this command")
    interface = endpoint.values.get("interface", "::" if endpoint.kind == "tcp6" else "")
    return _EVERYWHERE.get(interface, interface), int(endpoint.values["port"])


def _token(admin: AdminSpec) -> dict[str, str]:
    if admin.token_file is None:
        return {}
    try:
        token = Path(admin.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise NoAnswer(f"wants the token of {admin.token_file}, which cannot be read") from None
    return {"Authorization": f"Bearer {token}"}
