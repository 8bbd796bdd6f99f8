"""Least connections against a comparison of all."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txlb.strategies.least_connections import LeastConnections
from txlb.testing import Ground, fake_backends

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(0, 5), st.integers(0, 40)),
        st.tuples(st.just("open"), st.frozensets(st.integers(0, 5)), st.just(0)),
        st.tuples(st.just("close"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("offer"), st.frozensets(st.integers(0, 5)), st.just(0)),
    ),
    max_size=60,
)


class TestLeastConnections(SynchronousTestCase):
    """Who is picked, and who among equals."""

    def ground(self, *weights: int) -> Ground:
        """Least connections over these weights."""
        ground = Ground(LeastConnections)
        ground.offer(fake_backends(*weights))
        return ground

    @given(MOVES)
    def test_never_more_than_the_least(self, moves: list) -> None:
        """In any order of loads, leaps, exclusions and offers, the pick has the least connections for its weight."""
        everybody = fake_backends(1, 2, 3, 1, 1, 5)
        ground = Ground(LeastConnections)
        ground.offer(everybody)
        for what, which, amount in moves:
            if what == "load":
                ground.load(everybody[which], amount)
            elif what == "close" and everybody[which].active:
                ground.close(everybody[which])
            elif what == "offer":
                ground.offer(tuple(everybody[index] for index in sorted(which)))
            elif what == "open":
                exclude = {everybody[index] for index in which}
                loads = [b.active / b.weight for b in ground.offered if b not in exclude]
                picked = ground.pick(exclude=exclude)
                self.assertEqual(picked is None, not loads)
                if picked:
                    self.assertEqual(picked.active / picked.weight, min(loads))
                    ground.load(picked, picked.active + 1)

    def test_equals_take_turns(self) -> None:
        """An idle pool is served in rotation, by weight, never always by the first or the last."""
        ground = self.ground(1, 1, 1)
        picks = [ground.offered.index(ground.pick()) for _ in range(9)]
        self.assertEqual(picks, [0, 1, 2] * 3)
        ground = self.ground(4, 2, 1)
        picks = Counter(ground.pick() for _ in range(70))
        self.assertEqual([picks[backend] for backend in ground.offered], [40, 20, 10])

    def test_no_claim_to_what_was_missed(self) -> None:
        """One that was busy while others had a thousand turns takes no thousand in a row when it is idle again."""
        ground = self.ground(1, 1, 1)
        busy = ground.offered[1]
        ground.load(busy, 5)
        for _ in range(1000):
            ground.close(ground.open())
        ground.load(busy, 0)
        picks = Counter()
        for _ in range(30):
            backend = ground.open()
            picks[backend] += 1
            ground.close(backend)
        self.assertIn(picks[busy], (10, 11))

    def test_burst_is_spread(self) -> None:
        """A hundred at once go to all alike, since each counts before it is dialled."""
        ground = self.ground(*[1] * 10)
        for _ in range(100):
            ground.open()
        self.assertEqual({backend.active for backend in ground.offered}, {10})

    def test_full_ones_come_back_when_released(self) -> None:
        """Of thousands of full backends, one that is released is the next pick, though the others stay full."""
        ground = self.ground(*[1] * 3000)
        full = set(ground.offered[:2999])
        for backend in ground.offered[2999:]:
            ground.load(backend, 50)
        for _ in range(3):
            self.assertIs(ground.pick(exclude=full), ground.offered[2999])
        freed = ground.offered[1234]
        full.discard(freed)
        ground.load(freed, 0)
        self.assertIs(ground.pick(exclude=full), freed)
