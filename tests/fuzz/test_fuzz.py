"""The corpus, and a bounded number of new inputs, the same ones each time."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.inputs import inputs, kept
from tests.fuzz.targets import TARGETS

BRIEF = settings(
    max_examples=80, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


class FuzzTests(SynchronousTestCase):
    """Each target."""

    def test_corpus(self) -> None:
        """Every input that was kept."""
        for name, target in TARGETS.items():
            for path in kept(name):
                with self.subTest(target=name, input=path.name):
                    target.run(path.read_bytes())

    def new(self, name: str) -> None:
        """New inputs for one target."""
        target = TARGETS[name]
        BRIEF(given(inputs(name, target.words))(target.run))()

    def test_configuration(self) -> None:
        """Configuration files."""
        self.new("configuration")

    def test_http_reply(self) -> None:
        """What a backend says to an `http` check that asks for the status."""
        self.new("http-reply")

    def test_http_body(self) -> None:
        """What a backend says to an `http` check that reads the body."""
        self.new("http-body")

    def test_send_expect_reply(self) -> None:
        """What a backend says to a `send-expect` check."""
        self.new("send-expect-reply")

    def test_admin_request(self) -> None:
        """What clients send to the admin."""
        self.new("admin-request")

    def test_proxy_header(self) -> None:
        """Addresses for the PROXY protocol's header."""
        self.new("proxy-header")

    def test_trace(self) -> None:
        """Access logs for the simulator."""
        self.new("trace")
