"""How even a spread is, and how old a shared counter was: on numbers and lines that are made up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.spread import address, by_backend, fullest, misplaced
from bench.spy import Told, delays, read


class SpreadTests(SynchronousTestCase):
    """`bench.spread`"""

    def test_perfect(self) -> None:
        """Where counts differ by one at most nothing is misplaced."""
        for counts in ([3, 3, 2, 2], [5, 5], [0, 0, 0], [1, 0, 0]):
            self.assertEqual(misplaced(counts), 0)

    def test_what_would_have_to_move(self) -> None:
        """From above what is too much, or from there to below what is too little, whichever is more."""
        self.assertEqual(misplaced([4, 4, 0, 0]), 0.5)
        self.assertEqual(misplaced([4, 3, 2, 1]), 0.1)

    def test_fullest(self) -> None:
        """As a share above the mean."""
        self.assertEqual(fullest([30, 20, 10]), 0.5)
        self.assertEqual(fullest([0, 0]), 0)

    def test_kernel_table(self) -> None:
        """Established connections count, at the address and port that is meant; half-closed ones do not."""
        lines = ["  sl  local_address rem_address   st", *[f" 0: {address('127.1.0.2', 80)} 0100007F:1 01 x"] * 2]
        lines += [f" 0: {address('127.1.0.1', 80)} 0100007F:1 08 x", f" 0: {address('127.1.0.1', 81)} 0100007F:1 01 x"]
        self.assertEqual(by_backend(lines, ["127.1.0.1", "127.1.0.2"], 80), [0, 2])


class SpyTests(SynchronousTestCase):
    """`bench.spy`"""

    def test_half_a_line_is_none(self) -> None:
        """Lines come in order of time; one that is being written is left for later."""
        self.assertEqual(read("7 20 change\n8 10 pick\n8 3"), [Told(8, 10, "pick"), Told(7, 20, "change")])

    def test_first_news_of_each_other_worker(self) -> None:
        """Not what the picking one is told, no second news, and nothing from a process that never picks."""
        lines = [(1, 0, "pick"), (1, 1, "change"), (2, 5, "change"), (9, 6, "change"), (2, 8, "change")]
        lines += [(2, 100, "pick"), (1, 104, "change")]
        told = [Told(process, at * 1_000_000, what) for process, at, what in lines]
        self.assertEqual(delays(told), [5.0, 4.0])
