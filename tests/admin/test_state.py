"""The state in JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from txlb.admin.state import encode
from txlb.clock import SLICE

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


class Ticking(Clock):
    """Time goes on whenever somebody looks; counts the turns that are asked for."""

    turns = 0

    def seconds(self) -> float:
        self.rightNow += SLICE / 10
        return super().seconds()

    def callLater(self, *arguments: Any, **named: Any) -> Any:
        self.turns += 1
        return super().callLater(*arguments, **named)


class EncodeTests(SynchronousTestCase):
    """`encode`"""

    @given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=4))
    def test_is_json(self, state: dict[str, object]) -> None:
        """Whatever its shape, it is the same as encoded at once, and one line."""
        data = self.successResultOf(encode(state, Clock()))
        self.assertEqual(json.loads(data), state)
        self.assertNotIn(b"\n", data)

    def test_large(self) -> None:
        """A thousand backends take several turns of the reactor."""
        clock = Ticking()
        state = {"pools": {"web": {"backends": {str(number): {"open": number} for number in range(1000)}}}}
        running = encode(state, clock)
        while not running.called:
            clock.advance(0.001)
        self.assertEqual(json.loads(self.successResultOf(running)), state)
        self.assertGreater(clock.turns, 100)
