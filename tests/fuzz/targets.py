"""What is fuzzed. A target's `run` raises where something does not hold that has to hold for every input."""

from __future__ import annotations

import gc
import ipaddress
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, globalLogPublisher
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.python.failure import Failure

from tests.admin.fakes import World, parse
from tests.health_checks.fakes import Network
from txlb import config
from txlb.errors import CheckFailed, ConfigError
from txlb.proxy.send_proxy import header
from txlb.registry import health_checks
from txlb.simulate.trace import read_trace
from txlb.specs import Config


@frozen
class Target:
    """`words` are what its inputs are made of."""

    run: Callable[[bytes], None]
    words: Sequence[bytes]


def quietly(run: Callable[[], Any]) -> Any:
    """Run it; AssertionError where it logs an error, or leaves a failure that nobody looked at."""
    logged: list[Any] = []

    def observe(event: Any) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            logged.append(event.get("log_failure") or event.get("log_format"))

    globalLogPublisher.addObserver(observe)
    try:
        result = run()
        gc.collect(0)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert not logged, f"logged {logged}"
    return result


def refused_well(error: ConfigError) -> None:
    """Problems are there, each on one line, and short enough to be read."""
    assert error.problems
    for problem in error.problems:
        assert str(problem).isprintable(), repr(str(problem))
        assert len(str(problem)) < 2000, len(str(problem))


def configuration(data: bytes) -> None:
    """A Config, or problems; the same again for the same bytes."""

    def read() -> Config | None:
        try:
            return config.parse(data, "config.yaml")
        except ConfigError as error:
            refused_well(error)
            return None

    first = quietly(read)
    if first is not None:
        assert first == config.parse(data, "config.yaml")
        assert all(spec.pool in first.pools for spec in first.listeners.values())


def reply(check: str, **options: Any) -> Callable[[bytes], None]:
    """Whatever a backend sends, the check ends with words or CheckFailed and holds nothing. The first byte says in how
    large pieces the rest arrives, and whether the backend closes."""

    def run(data: bytes) -> None:
        size, closes = _piece(data, 1), bool(data and data[0] & 1)
        quietly(lambda: _answer(check, options, data[1:], size, closes))

    return run


def _piece(data: bytes, shift: int) -> int:
    """From one byte upwards, and at most some hundred pieces."""
    return max(len(data) // 200, (data[0] >> shift if data else 0) + 1)


def _answer(check: str, options: dict[str, Any], data: bytes, size: int, closes: bool) -> None:
    network = Network()
    answer: Deferred[Any] = health_checks().build(check, options, reactor=network.reactor).probe("tcp:192.0.2.1:80")
    results: list[Any] = []
    answer.addBoth(results.append)
    protocol, transport = network.connected()
    for start in range(0, len(data), size):
        if not transport.gone:
            protocol.dataReceived(data[start : start + size])
    if closes:
        transport.closed_by_backend()
    else:
        answer.cancel()
    network.reactor.advance(0)
    [result] = results
    assert isinstance(result, str) or (isinstance(result, Failure) and result.check(CheckFailed, CancelledError)), (
        result
    )
    assert transport.gone
    assert not network.reactor.getDelayedCalls()


def admin_request(data: bytes) -> None:
    """Whatever a client sends, each answer is whole, nothing is logged as an error, the pool stays sound, and nothing is
    left when the client hangs up. The first byte says in how large pieces it arrives."""
    quietly(lambda: _ask_admin(data[1:], _piece(data, 0)))


def _ask_admin(data: bytes, size: int) -> None:
    world = World()
    client = world.connect()
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    for _ in range(4):
        client.clock.advance(0)
    written = client.taken()
    if b"text/event-stream" in written:  # a stream has no end that could be looked for
        written = written[: written.index(b"HTTP/1.1 200 OK")]
    for answer in parse(written):
        assert 200 <= answer.status < 500 or answer.status == 503, answer
        if answer.headers.get("content-type") == "application/json":
            assert isinstance(answer.json, dict)
    for backend in world.pool.backends.values():
        assert 0 <= backend.effective_weight <= 100_000
        assert str(backend.admin) in ("ready", "drain", "maint")
    if client.wire.protocol is not None:
        client.wire.abortConnection()
    client.clock.advance(60)
    world.pool.stop()
    assert not world.admin.factory.channels


def proxy_header(data: bytes) -> None:
    """For any addresses a header that Twisted's own parser reads back, or one that says that the client is not known.
    Input: lines of host and port of the client, and of host and port that it connected to."""
    hosts = [line.decode("utf-8", "replace") for line in data.split(b"\n")] + [""] * 4
    source, destination = _address(hosts[0], hosts[1]), _address(hosts[2], hosts[3])
    first, second = header("v1", source, destination), header("v2", source, destination)
    assert first.startswith(b"PROXY ") and first.endswith(b"\r\n") and first.count(b"\r\n") == 1
    assert len(first) <= 107, len(first)
    assert first.isascii()
    assert len(second) == 16 + int.from_bytes(second[14:16], "big")
    if first == b"PROXY UNKNOWN\r\n":
        assert second[12:] == b"\x20\x00\x00\x00"
        return
    told = V1Parser.parse(first[:-2])
    read = V2Parser.parse(second)
    assert read.source is not None
    assert (told.source.port, read.source.port) == (source.port, source.port)
    assert _packed(told.source) == _packed(read.source)
    assert _packed(told.destination) == _packed(read.destination)


def _address(host: str, port: str) -> Any:
    if port == "unix":
        return UNIXAddress(host)
    number = int(port) % 65536 if port.isascii() and port.isdigit() and len(port) < 9 else 0
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, number)


def _packed(address: Any) -> bytes:
    host = address.host.decode() if isinstance(address.host, bytes) else address.host
    return ipaddress.ip_address(host).packed


def trace(data: bytes) -> None:
    """A workload in order of time whose clients strategies can hash, or problems."""
    with tempfile.TemporaryDirectory(prefix="txlb-") as folder:
        file = Path(folder) / "trace.jsonl"
        file.write_bytes(data)
        try:
            work = quietly(lambda: read_trace(str(file)))
        except ConfigError as error:
            refused_well(error)
            return
    assert work.times[0] == 0 and list(work.times) == sorted(work.times)
    assert all(math.isfinite(seconds) and seconds >= 0 for seconds in [*work.times, *work.work])
    for client in work.clients:
        client.host.encode()


HTTP = (
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 99999 \r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/2 200\n", b"Content-Length: 5\r\n",
    b"Content-Length: -5\r\n", b"Content-Length: 5, 6\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b" folded\r\n", b": none\r\n", b"\r\n", b"\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"ffffffffffffffffffff\r\n", b"-1\r\n",
    b"\0" * 20_000, b"hello", b"Connection: close\r\n", b"\xff",
)  # fmt: skip
REQUESTS = (
    b"GET ", b"POST ", b"PUT ", b"DELETE ", b"HEAD ", b"OPTIONS ", b"/api/v1/state", b"/api/v1/events", b"/api/v1/reload",
    b"/api/v1/pools/web/backends/a", b"/api/v1/pools/web/explain?client=", b"192.0.2.7", b"::1", b"/health", b"/ready", b"/metrics",
    b"%2f", b"%00", b"%ff", b"..", b"?", b"&", b"=", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: localhost:9090\r\n", b"Host: evil\r\n",
    b"Content-Type: application/json\r\n", b"Content-Length: 17\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Origin: http://evil\r\n",
    b"Last-Event-ID: 7\r\n", b"\r\n", b"\n", b"5\r\n", b"0\r\n\r\n", b'{"admin":"drain"}', b'{"weight": 3}', b'{"weight": 1e999}',
    b'{"weight": NaN}', b'{"weight": ' + b"9" * 5000 + b"}", b"[" * 3000, b'{"connect":"tcp:127.0.0.1:1"}', b'{"connect":"unix:\\u0000"}',
    b'"\\ud800"', b"x" * 9000,
)  # fmt: skip
YAML = (
    b"listeners:", b"pools:", b"\n", b"  ", b"    ", b"- ", b": ", b"{", b"}", b"[", b"]", b", ", b"web", b"listen: ", b"pool: ",
    b"tcp:8080", b"tcp:0:interface=\\:\\:1", b"unix:/run/x", b"backends:", b"tcp:127.0.0.1:9001", b"strategy: ", b"round-robin",
    b"{name: least-time, measure: first-byte}", b"health: {check: http, path: /}", b"health: {check: send-expect, expect: '/(/'}",
    b"health: {check: exec, command: \"'\"}", b"expect: 2xx", b"timeouts: {idle: 1h}", b"250ms", b"1e999s", b"-1", b"9" * 400, b".inf", b"0x10",
    b"0o7", b"1_000", b"~", b"null", b"yes", b"&a ", b"*a", b"<<: ", b"!!python/object:os.system ", b"!!binary ", b"? ", b"|\n", b">\n", b'"', b"'",
    b"#", b"---", b"...", b"%YAML 1.1", b"\t", b"\xef\xbb\xbf", b"\x00", b"\xe2\x80\xa8", b"\xff", b"weight: ", b"max_connections: ", b"workers: auto",
    b"admin: {listen: tcp:9090, token_file: x}", b"access_log: {file: x, format: '{client'}", b"echo: ", b"drain_timeout: ", b"2026-01-01",
)  # fmt: skip
LINES = (
    b'{"time":"2026-03-01T09:30:00.125Z","duration":0.5,"client":"192.0.2.7"}', b"\n", b"\r", b"\x0b", b"\xc2\x85", b'"time":', b'"duration":',
    b'"client":', b'"0001-01-01"', b'"9999-12-31T23:59:59+00:00"', b'"2026-W01-1"', b"1e400", b"-0.0", b"NaN", b"Infinity", b"1" * 5000, b"{", b"}", b",",
    b'"\\ud800"', b"[" * 3000, b"null", b"true", b'"24:00"', b"\xff",
)  # fmt: skip
ADDRESSES = (
    b"127.0.0.1", b"::1", b"::ffff:192.0.2.7", b"fe80::1%eth0", b"fe80::1%" + b"z" * 200, b"", b"localhost", b"0", b"65535", b"80", b"unix",
    b"/run/x", b"\n", b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", b"192.0.2.07", b"64:ff9b::1", b"%", b" ", b"\r\n", b"0.0.0.0", b"::",
)  # fmt: skip

TARGETS = {
    "configuration": Target(configuration, YAML),
    "http-reply": Target(reply("http"), HTTP),
    "http-body": Target(reply("http", body="/h.l+o/", expect="2xx, 404"), HTTP),
    "send-expect-reply": Target(
        reply("send-expect", send="PING\\r\\n", expect="/^\\+PONG$/"), (b"+PONG", b"\r\n", b"-ERR ", b"\0" * 20_000)
    ),
    "admin-request": Target(admin_request, REQUESTS),
    "proxy-header": Target(proxy_header, ADDRESSES),
    "trace": Target(trace, LINES),
}
