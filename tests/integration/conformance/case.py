"""What the parts of the suite have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

from tests.integration.harness import Stage, Subject
from tests.integration.peers import missing


def blocking(test: Callable[..., None]) -> Callable[..., Deferred[None]]:
    """Run a test that blocks in a thread, and see afterwards that the proxy holds nothing any more."""

    @functools.wraps(test)
    def run(self: ConformanceCase) -> Deferred[None]:
        return deferToThread(self.play, test)

    return run


class ConformanceCase(TestCase):
    """A test over one subject. `skips` are tests that make no sense for it, `fails` those it is known to fail."""

    timeout = 120
    subject: ClassVar[Subject]
    skips: ClassVar[frozenset[str]] = frozenset()
    fails: ClassVar[dict[str, str]] = {}
    stage: Stage

    def setUp(self) -> None:
        """Skip what cannot be tried here."""
        if reason := missing(self.subject):
            raise SkipTest(reason)
        if self.name in self.skips:
            raise SkipTest(f"means nothing for {self.subject.name}")
        self.stage = Stage(self.subject)

    @property
    def name(self) -> str:
        """The test method's name."""
        return self.id().rpartition(".")[2]

    def play(self, test: Callable[..., Any]) -> None:
        """Run the test; a known failure has to fail."""
        if self.name not in self.fails:
            self.stage.play(lambda: test(self))
            return
        try:
            self.stage.play(lambda: test(self))
        except (AssertionError, OSError):
            return
        self.fail(f"{self.subject.name} passes this now: {self.fails[self.name]}")
