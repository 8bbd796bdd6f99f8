"""Tests for `txlb.health_checks.patterns`."""

from twisted.trial.unittest import SynchronousTestCase

from txlb.health_checks.patterns import compile_pattern, unescape


class PatternTests(SynchronousTestCase):
    """Text, and regular expressions between slashes."""

    def test_unescape(self) -> None:
        """The usual escapes and any byte can be written; other backslashes are themselves."""
        self.assertEqual(unescape(r"PING\r\n\t\0\\r\xff\q"), b"PING\r\n\t\0\\r\xff\\q")
        self.assertEqual(unescape("PING\r\né"), "PING\r\né".encode())

    def test_text_is_literal(self) -> None:
        """What looks like a regular expression is text without the slashes."""
        self.assertIsNone(compile_pattern("a.c").search(b"abc"))
        self.assertIsNotNone(compile_pattern("a.c").search(b"xa.cx"))

    def test_regular_expression(self) -> None:
        """Between slashes; `^` matches at every line."""
        self.assertIsNotNone(compile_pattern(r"/^2\d\d /").search(b"hello\r\n220 ready"))
        self.assertIsNone(compile_pattern(r"/^2\d\d /").search(b"hello 220 ready"))

    def test_refused(self) -> None:
        """An empty text would always match, and a wrong expression never could."""
        for wrong in ("", "/(/"):
            with self.assertRaises(ValueError):
                compile_pattern(wrong)
