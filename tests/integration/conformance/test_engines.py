"""The stream conformance suite over each engine. A new engine is one more line here."""

from __future__ import annotations

from tests.integration.conformance.suite import conformance
from tests.integration.harness import Txlb

globals().update(conformance("Epoll", __name__, subject=Txlb("epoll")))
globals().update(conformance("Reactor", __name__, subject=Txlb("reactor"), keeps_paused_bytes=False))
