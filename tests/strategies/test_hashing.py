"""The hashing strategies against the figures of their papers, and bounded load against its guarantee."""

from __future__ import annotations

import statistics
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txlb.errors import OptionError
from txlb.interfaces import IObservesLoad
from txlb.registry import strategies
from txlb.strategies.maglev import Maglev
from txlb.strategies.maglev_table import SIZES, fill, preference, table_size
from txlb.strategies.rendezvous import Rendezvous
from txlb.strategies.ring_hash import LARGEST, POINTS, RingHash
from txlb.strategies.source_hash import SourceHash
from txlb.testing import FakeBackend, FakeClient, Ground, fake_backends, fake_clients

HASHING = (SourceHash, Maglev, RingHash, Rendezvous)


def ground_of(strategy: type, *weights: int, **options: object) -> Ground:
    """The strategy over these weights."""
    ground = Ground(strategy, options)
    ground.offer(fake_backends(*weights))
    return ground


def table(names: list[str], weights: list[int], size: int) -> list[str]:
    """The names in the slots of Maglev's table."""
    hashed = ground_of(Maglev).strategy._hash_name
    steps = fill([preference(hashed(name.encode()), size) for name in names], weights, size)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return [names[index] for index in end.value]


def reference(preferences: list[tuple[int, int]], size: int) -> list[int]:
    """The pseudocode of the Maglev paper, as it stands there."""
    following, entry, filled = [0] * len(preferences), [-1] * size, 0
    while True:
        for index, (offset, skip) in enumerate(preferences):
            slot = (offset + following[index] * skip) % size
            while entry[slot] >= 0:
                following[index] += 1
                slot = (offset + following[index] * skip) % size
            entry[slot] = index
            following[index] += 1
            filled += 1
            if filled == size:
                return entry


class TestMaglev(SynchronousTestCase):
    """Eisenbud et al., 2016."""

    @settings(max_examples=40)
    @given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.sampled_from((7, 101, 1009, 4001)))
    def test_paper_pseudocode(self, hashes: list[int], size: int) -> None:
        """The quicker filling gives the table of the paper's pseudocode, slot by slot."""
        preferences = [preference(hashed, size) for hashed in hashes]
        steps = fill(preferences, [100] * len(hashes), size)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                self.assertEqual(list(end.value), reference(preferences, size))
                break

    def test_balance(self) -> None:
        """At 65537 slots every one of 100 backends has its share but for one slot: better than the paper's 1 %."""
        slots = Counter(table([f"b{number}" for number in range(100)], [100] * 100, 65537))
        self.assertLessEqual(max(slots.values()) - min(slots.values()), 1)

    def test_weighted_balance(self) -> None:
        """Shares are as the weights, within 1 %."""
        weights = [100, 200, 300, 1000, 50]
        slots = Counter(table(list("abcde"), weights, 65537))
        for name, weight in zip("abcde", weights, strict=True):
            self.assertApproximates(slots[name] / 65537, weight / sum(weights), 0.01 * weight / sum(weights) + 0.0001)

    def test_disruption(self) -> None:
        """When one of 100 leaves, hardly more than its slots change: the paper's figure 12 has under 2 % for small changes."""
        names = [f"b{number}" for number in range(100)]
        before = table(names, [100] * 100, 65537)
        after = table(names[:42] + names[43:], [100] * 99, 65537)
        others = sum(a != b for a, b in zip(before, after, strict=True) if a != names[42])
        self.assertLess(others / 65537, 0.02)

    def test_sizes(self) -> None:
        """Sizes are prime, and the least with a hundred slots for each backend is taken."""
        for size in SIZES:
            self.assertTrue(all(size % divisor for divisor in range(2, int(size**0.5) + 1)))
        self.assertEqual(
            [table_size(count) for count in (1, 655, 656, 10_000, 10_001)], [65537, 65537, 262147, 1000003, 4000037]
        )

    def test_old_table_serves_until_the_last_step(self) -> None:
        """While the new table is made, clients keep their backends; those of a backend that left go elsewhere at once."""
        ground = ground_of(Maglev, *[1] * 50)
        clients = fake_clients(200)
        before = {client: ground.pick(client) for client in clients}
        gone, staying = ground.offered[0], ground.offered[1:]
        for _ in ground.strategy.rebuild(staying):
            for client in clients[:20]:
                picked = ground.strategy.pick(client)
                self.assertIn(picked, staying)
                if before[client] is not gone:
                    self.assertIs(picked, before[client])

    def test_before_the_first_table(self) -> None:
        """While the first table is made, or one of quite other backends, each client has one of those offered."""
        strategy = Ground(Maglev).strategy
        for backends in (fake_backends(*[1] * 30), tuple(FakeBackend(f"new-{number:02}") for number in range(30))):
            steps = strategy.rebuild(backends)
            picks = {client: strategy.pick(client) for client in fake_clients(300)}
            self.assertLessEqual(set(picks.values()), set(backends))
            self.assertGreater(len(set(picks.values())), 20)
            for client, backend in picks.items():
                self.assertIs(strategy.pick(client), backend)
                self.assertNotIn(strategy.pick(client, {backend}), (backend, None))
            for _ in steps:
                pass

    def test_overtaken_rebuild_changes_nothing(self) -> None:
        """A rebuild that another one has overtaken does not bring its set back."""
        ground = ground_of(Maglev, 1, 1, 1)
        late = ground.strategy.rebuild(ground.offered[:1])
        ground.offer(ground.offered[1:])
        for _ in late:
            pass
        for client in fake_clients(50):
            ground.pick(client)


class TestRing(SynchronousTestCase):
    """Karger et al., 1997; libketama."""

    def test_spread(self) -> None:
        """With 160 points each, shares of the ring spread by 1 / sqrt(160), about 8 %, as ketama's do."""
        ground = ground_of(RingHash, *[1] * 40)
        picks = Counter(ground.pick(client) for client in fake_clients(40_000))
        spread = statistics.pstdev(picks.values()) / 1000
        self.assertTrue(0.04 < spread < 0.13, spread)

    def test_only_the_leavers_clients_move(self) -> None:
        """Nobody else moves, not one."""
        ground = ground_of(RingHash, *[1] * 20)
        clients = fake_clients(3000)
        before = {client: ground.pick(client) for client in clients}
        gone = ground.offered[3]
        ground.offer(tuple(backend for backend in ground.offered if backend is not gone))
        for client in clients:
            self.assertTrue(before[client] is gone or ground.pick(client) is before[client])

    def test_order_of_arrival_is_of_no_account(self) -> None:
        """A ring grown and shrunk step by step is the ring made at once."""
        grown = ground_of(RingHash)
        everybody = fake_backends(*[2] * 30)
        for count in (1, 30, 12, 29, 7, 15):
            grown.offer(everybody[:count])
        made = ground_of(RingHash, *[2] * 15)
        for client in fake_clients(1000):
            self.assertEqual(grown.pick(client).name, made.pick(client).name)

    def test_weight_change_moves_its_part(self) -> None:
        """A weight that grows draws clients to that backend only."""
        ground = ground_of(RingHash, *[1] * 10)
        clients = fake_clients(2000)
        before = {client: ground.pick(client) for client in clients}
        ground.offered[0].weight = 300
        ground.offer(ground.offered)
        for client in clients:
            self.assertIn(ground.pick(client), (before[client], ground.offered[0]))

    def test_points(self) -> None:
        """160 a unit of weight, at least one, and never more than fit."""
        ground = ground_of(RingHash, 1, 3)
        ground.offer((*ground.offered, FakeBackend("slow", 10)))
        self.assertEqual(list(ground.strategy._counts.values()), [POINTS, 3 * POINTS, POINTS // 10])
        ground.offer(fake_backends(*[1000] * 30))
        self.assertLessEqual(ground.strategy._ring.size, LARGEST)


class TestRendezvous(SynchronousTestCase):
    """Thaler and Ravishankar, 1996."""

    def test_shares(self) -> None:
        """Shares are as the weights."""
        ground = ground_of(Rendezvous, 1, 2, 5)
        picks = Counter(ground.pick(client) for client in fake_clients(16_000))
        for backend, expected in zip(ground.offered, (2000, 4000, 10_000), strict=True):
            self.assertApproximates(picks[backend], expected, 0.1 * expected)

    def test_only_the_leavers_clients_move(self) -> None:
        """Nobody else moves, whatever the weights."""
        ground = ground_of(Rendezvous, 1, 2, 3, 1)
        before = {client: ground.pick(client) for client in fake_clients(2000)}
        gone = ground.offered[2]
        ground.offer(tuple(backend for backend in ground.offered if backend is not gone))
        for client, backend in before.items():
            self.assertTrue(backend is gone or ground.pick(client) is backend)

    def test_excluded_gives_the_second(self) -> None:
        """Excluding the winner gives who would win without it."""
        ground = ground_of(Rendezvous, 1, 2, 3, 1)
        for client in fake_clients(100):
            winner = ground.pick(client)
            second = ground.pick(client, {winner})
            without = Ground(Rendezvous)
            without.offer(tuple(backend for backend in ground.offered if backend is not winner))
            self.assertIs(second, without.pick(client))


class TestBound(SynchronousTestCase):
    """Mirrokni, Thorup and Zadimoghaddam, 2016; HAProxy's test."""

    def test_guarantee(self) -> None:
        """However the clients come, nobody has more than ceil(bound * fair share), all of them from one address too."""
        for strategy in HASHING:
            for bound in (125, 200):
                ground = ground_of(strategy, 1, 2, 3, 4, bound=bound)
                weights = sum(backend.weight for backend in ground.offered)
                for number in range(1, 301):
                    backend = ground.open(FakeClient())
                    most = -(-number * bound * backend.weight // (100 * weights))
                    self.assertLessEqual(backend.active, most, f"{strategy.__name__} at {number}")

    def test_sticky_below_the_bound(self) -> None:
        """A client whose backend has room goes to its own one, as without a bound."""
        for strategy in HASHING:
            free, bound = ground_of(strategy, *[1] * 8), ground_of(strategy, *[1] * 8, bound=150)
            for client in fake_clients(200):
                self.assertEqual(free.pick(client).name, bound.pick(client).name)

    def test_watches_loads_only_if_bound(self) -> None:
        """Without a bound nobody has to tell it of loads."""
        for strategy in HASHING:
            self.assertFalse(IObservesLoad.providedBy(ground_of(strategy).strategy))
            self.assertTrue(IObservesLoad.providedBy(ground_of(strategy, bound=125).strategy))

    def test_all_others_excluded(self) -> None:
        """When only those over their bound are left, one of them is picked all the same."""
        ground = ground_of(Maglev, 1, 1, bound=125)
        ground.load(ground.offered[0], 50)
        self.assertIs(ground.pick(exclude={ground.offered[1]}), ground.offered[0])

    def test_wrong_bounds(self) -> None:
        """A bound below the fair share cannot be kept, so it is refused."""
        registry = strategies()
        for name in ("source-hash", "maglev", "ring-hash", "rendezvous"):
            for wrong in (100, 99, -1, 1001, "125", 1.5, True):
                self.assertEqual([e.option for e in registry.check(name, {"bound": wrong})], ["bound"], wrong)
            self.assertEqual(registry.check(name, {"bound": 125}), [])
            self.assertRaises(OptionError, registry.build, name, {"key": "cookie"})
        self.assertEqual([e.option for e in registry.check("maglev", {"table_size": 1000})], ["table_size"])


class TestKeys(SynchronousTestCase):
    """What is hashed, and with what."""

    def test_port_does_not_matter(self) -> None:
        """A client is its address, also where an IPv6 listener writes an IPv4 address in its own way."""
        for strategy in HASHING:
            ground = ground_of(strategy, *[1] * 50)
            first = ground.pick(FakeClient("192.0.2.1", 1))
            self.assertIs(ground.pick(FakeClient("192.0.2.1", 65535)), first)
            self.assertIs(ground.pick(FakeClient("::ffff:192.0.2.1", 1)), first)

    def test_fixed_vectors(self) -> None:
        """These choices must never change between releases, or every client of every fleet moves at an upgrade."""
        vectors = {strategy.__name__: [] for strategy in HASHING}
        for strategy in HASHING:
            ground = ground_of(strategy, 1, 2, 3, 4)
            vectors[strategy.__name__] = [ground.offered.index(ground.pick(client)) for client in fake_clients(12)]
        self.assertEqual(
            vectors,
            {
                "SourceHash": [3, 2, 2, 1, 3, 2, 0, 1, 3, 2, 1, 0],
                "Maglev": [3, 1, 3, 0, 2, 3, 3, 3, 3, 2, 2, 1],
                "RingHash": [3, 1, 2, 3, 1, 2, 2, 3, 0, 3, 3, 3],
                "Rendezvous": [3, 2, 3, 3, 1, 2, 3, 2, 3, 3, 2, 3],
            },
        )

    def test_seed(self) -> None:
        """Another seed gives another choice; the same one, number or text, the same."""
        for strategy in HASHING:
            picks = [
                [ground_.offered.index(ground_.pick(client)) for client in fake_clients(60)]
                for ground_ in (ground_of(strategy, *[1] * 20, seed=seed) for seed in (0, 1, "secret", "secret"))
            ]
            self.assertNotEqual(picks[0], picks[1])
            self.assertNotEqual(picks[0], picks[2])
            self.assertEqual(picks[2], picks[3])
