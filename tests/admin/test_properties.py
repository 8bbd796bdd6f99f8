"""Whatever is sent, the admin neither fails nor hangs."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.fakes import World, parse, request
from txlb.admin.channel import CLOSING_TIME, REQUEST_TIME

METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "X"])
SEGMENTS = st.sampled_from(
    ["", "api", "v1", "state", "pools", "web", "backends", "a", "b", "events", "explain", "reload", "metrics", "%2F", "%ff", "..", "%00", "{}"]
)  # fmt: skip
PATHS = st.one_of(
    st.lists(SEGMENTS, max_size=8).map(lambda segments: "/" + "/".join(segments)),
    st.sampled_from(
        [
            "/api/v1/state",
            "/api/v1/reload",
            "/api/v1/pools/web/explain",
            "/api/v1/pools/web/backends/a",
            "/api/v1/pools/web/backends/c",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
)
QUERIES = st.one_of(
    st.just(""), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map("?{}".format)
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["ready", "drain"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = st.sampled_from(["admin", "weight", "connect", "max_connections", "backup", "check_connect", "x"])
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=100),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(KEYS, VALUES, max_size=4).map(lambda value: json.dumps(value).encode()),
)
HEADERS = st.dictionaries(
    st.sampled_from(["host", "origin", "authorization", "content-type", "sec-fetch-site", "last-event-id", "expect", "connection", "if-none-match"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    max_size=3,
)  # fmt: skip


class AnythingTests(SynchronousTestCase):
    """Requests of every shape."""

    def sound(self, data: bytes) -> None:
        """There is an answer, no 5xx among them, none without its reason, and nothing was logged as an error."""
        head = data.partition(b"\r\n\r\n")[0]
        if b"text/event-stream" not in head:
            for answer in parse(data):
                self.assertLess(answer.status, 500)
                if answer.status >= 400 and answer.body:
                    self.assertTrue(answer.json["error"])
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=400, deadline=None)
    @given(METHODS, PATHS, QUERIES, BODIES, HEADERS)
    def test_requests(self, method: str, path: str, query: str, body: bytes | None, headers: dict[str, str]) -> None:
        """Well-formed in the main, and wrong in detail."""
        world = World()
        client = world.connect()
        names = {name.replace("-", "_"): value for name, value in headers.items()}
        client.send(request(method, path + query, body, **names))
        data = client.taken()
        if method != "HEAD":
            self.sound(data)
        self.assertTrue(data)
        self.assertNotIn(b" 500 ", data.partition(b"\r\n")[0])
        world.admin.stop()

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.binary(max_size=60) | st.sampled_from([b"\r\n", b"GET / HTTP/1.1\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"HTTP/1.1", b"POST /api/v1/reload HTTP/1.1\r\n"]), max_size=12))  # fmt: skip
    def test_bytes(self, parts: list[bytes]) -> None:
        """Not even HTTP. In the end the connection is gone, and so are its timers."""
        world = World()
        client = world.connect()
        for part in parts:
            client.send(part)
        world.clock.advance(REQUEST_TIME)
        world.clock.advance(CLOSING_TIME)
        self.assertFalse(client.open)
        self.sound(client.taken())
        self.assertEqual(world.clock.getDelayedCalls(), [])
