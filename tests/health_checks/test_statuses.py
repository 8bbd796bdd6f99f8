"""Tests for `txlb.health_checks.statuses`."""

from twisted.trial.unittest import SynchronousTestCase

from txlb.health_checks.statuses import parse_statuses


class ParseStatusesTests(SynchronousTestCase):
    """The ways to write a set of statuses."""

    def test_forms(self) -> None:
        """A number, a class, a range, a comma list and a YAML list mean what they look like."""
        self.assertEqual(parse_statuses(200), {200})
        self.assertEqual(parse_statuses("2xx"), set(range(200, 300)))
        self.assertEqual(parse_statuses("200 - 202"), {200, 201, 202})
        self.assertEqual(parse_statuses("200,204"), {200, 204})
        self.assertEqual(parse_statuses((200, "301")), {200, 301})

    def test_refused(self) -> None:
        """What is no status, an empty set and a range upside down are refused, with the word in question."""
        for wrong in ("", "ok", "6xx", "99", 600, "300-200", "20", "200-", ("200", "x"), -200):
            with self.assertRaises(ValueError, msg=str(wrong)):
                parse_statuses(wrong)
        with self.assertRaises(ValueError):
            parse_statuses(())
