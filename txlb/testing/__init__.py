"""For people who write strategies: a conformance kit, and fakes to test with.

    class TestMine(StrategyConformance, TestCase):
        strategy = Mine

runs everything that txlb expects of a strategy against it. Class attributes say what yours does not promise. For a
strategy that sends a client to the same backend each time there is `StickyConformance`.
"""

from txlb.testing.conformance import StrategyConformance
from txlb.testing.fakes import FakeBackend, FakeClient, fake_backends, fake_clients
from txlb.testing.ground import Ground
from txlb.testing.sticky import StickyConformance

__all__ = [
    "FakeBackend",
    "FakeClient",
    "Ground",
    "StickyConformance",
    "StrategyConformance",
    "fake_backends",
    "fake_clients",
]
