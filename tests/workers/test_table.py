"""The shared counters, who is given which, and what is seen of others."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from txlb.errors import TxlbError
from txlb.workers.backoff import FIRST, LONGEST, STEADY, Backoff
from txlb.workers.changes import Changes
from txlb.workers.slots import Slots
from txlb.workers.table import FIRST_SLOT, HEARTBEAT, SLOTS, Table


class TableTests(SynchronousTestCase):
    """Memory with columns."""

    def setUp(self) -> None:
        self.table = Table.create(3)
        self.addCleanup(self.table.close)

    def test_second_view(self) -> None:
        """Whoever has the descriptor sees the same counters."""
        other = Table(self.table.fd, 3)
        other.cells[1][SLOTS - 1] = -5
        self.assertEqual(self.table.cells[1][SLOTS - 1], -5)
        self.assertEqual(self.table.total(SLOTS - 1), -5)

    def test_reset_is_of_one_column(self) -> None:
        """Only the column of the process that ended is cleared."""
        for column in self.table.cells:
            column[20] = 7
        self.table.reset(1)
        self.assertEqual([column[20] for column in self.table.cells], [7, 0, 7])


class ChangesTests(SynchronousTestCase):
    """Looks at what the others do."""

    def setUp(self) -> None:
        self.table = Table.create(3)
        self.addCleanup(self.table.close)
        self.changes = Changes(self.table, 0)

    def test_sum_of_others(self) -> None:
        """A change is reported once, with what all others hold, and one's own is not."""
        self.table.cells[0][9] = 100
        self.table.cells[1][9] = 2
        self.table.cells[2][9] = 3
        self.table.cells[2][500] = 1
        self.assertEqual(self.changes.look(600), {9: 5, 500: 1})
        self.assertEqual(self.changes.look(600), {})
        self.table.cells[2][9] = 0
        self.assertEqual(self.changes.look(600), {9: 2})

    def test_heartbeats_are_no_changes(self) -> None:
        """That others live is not news."""
        self.table.cells[1][HEARTBEAT] += 1
        self.assertEqual(self.changes.look(600), {})

    def test_new_slots(self) -> None:
        """Counters that were not looked at before are found with what they hold by then."""
        self.table.cells[1][200] = 4
        self.assertEqual(self.changes.look(100), {})
        self.assertEqual(self.changes.look(200), {200: 4})


class SlotsTests(SynchronousTestCase):
    """Names and counters."""

    def setUp(self) -> None:
        self.busy: set[int] = set()
        self.slots = Slots(lambda slot: slot not in self.busy, FIRST_SLOT + 4)

    def test_a_name_keeps_its_slot(self) -> None:
        """The same name has the same slot, and is told once."""
        first = self.slots.slot("pool/a")
        self.assertEqual(self.slots.slot("pool/a"), first)
        self.assertEqual(self.slots.untold(), {"pool/a": first})
        self.assertEqual(self.slots.untold(), {})

    def test_none_left(self) -> None:
        """Too many names are an error in words."""
        for n in range(4):
            self.slots.slot(str(n))
        self.assertRaises(TxlbError, self.slots.slot, "one more")

    def test_reclaim(self) -> None:
        """Only slots that are out of use and stand at zero are given to others."""
        taken = {name: self.slots.slot(name) for name in "abcd"}
        self.busy.add(taken["b"])
        self.slots.reclaim({"a"})
        self.assertEqual(set(self.slots.by_name), {"a", "b"})
        self.assertEqual({self.slots.slot("e"), self.slots.slot("f")}, {taken["c"], taken["d"]})


class BackoffTests(SynchronousTestCase):
    """How soon the next one is started."""

    def test_at_once_then_longer(self) -> None:
        """The first time at once, then twice as long each time up to the longest; a steady life forgets it all."""
        backoff = Backoff()
        delays = [backoff.after(1.0) for _ in range(10)]
        self.assertEqual(delays[:4], [0.0, FIRST, FIRST * 2, FIRST * 4])
        self.assertEqual(delays[-1], LONGEST)
        self.assertEqual(backoff.after(STEADY), 0.0)
