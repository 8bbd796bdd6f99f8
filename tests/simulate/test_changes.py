"""Tests for `txlb.simulate.changes`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.simulate.plans import backends
from txlb.errors import OptionError
from txlb.simulate.changes import Change, parse_changes, present_at_first


class ChangesTests(SynchronousTestCase):
    """`NAME@TIME`."""

    def test_in_order(self) -> None:
        """Changes come in the order of time; a time is a duration or seconds; names may hold an @."""
        changes = parse_changes(["b000@5s", "x@y@1m"], ["b000@2", "x@y@500ms"], backends(1))
        self.assertEqual([(c.at, c.name, c.joins) for c in changes],
                         [(0.5, "x@y", True), (2.0, "b000", True), (5.0, "b000", False), (60.0, "x@y", False)])  # fmt: skip

    def test_present_at_first(self) -> None:
        """Who joins first was away, who leaves first was there, and so was who never changes."""
        changes = (Change(1, "a", True), Change(2, "b", False), Change(3, "a", False))
        self.assertEqual([present_at_first(name, changes) for name in "abc"], [False, True, True])

    def test_refused(self) -> None:
        """A wrong form, a wrong time and an unknown backend that leaves."""
        for wrong in ("b000", "@5s", "b000@", "b000@soon", "b000@-1s", "b000@nan", "other@5s"):
            error = self.assertRaises(OptionError, parse_changes, [wrong], [], backends(1))
            self.assertEqual(error.option, "--leave")
