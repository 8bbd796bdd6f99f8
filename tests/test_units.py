"""Durations, both ways."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txlb.units import format_duration, parse_duration


class ParseTests(SynchronousTestCase):
    """`parse_duration`"""

    def test_units(self) -> None:
        """Each unit of the contract, fractions, spaces and plain seconds."""
        written = {
            "250ms": 0.25, "2s": 2.0, "5m": 300.0, "1h": 3600.0, "1.5s": 1.5, " 3 s ": 3.0, "0s": 0.0, 7: 7.0, 0.5: 0.5, 0: 0.0,
        }  # fmt: skip
        for text, seconds in written.items():
            self.assertAlmostEqual(parse_duration(text), seconds, places=12, msg=repr(text))

    def test_refuses_all_else(self) -> None:
        """No unit, two units, signs, other digits, endless numbers and other types: the message says what is right."""
        wrong = [
            "5", "", "s", "-1s", "+1s", "1s2ms", "1d", "1 S", "1e3s", "nan", "infs", ".5s", "٣s", "1s\n2", "1_0s",
            -1, -0.1, float("nan"), float("inf"), True, False, None, [], "9" * 400 + "h", 10**400,
        ]  # fmt: skip
        for value in wrong:
            with self.subTest(value=value):
                error = self.assertRaises(ValueError, parse_duration, value)
                self.assertEqual(str(error), f"must be a duration such as 250ms, 2s, 5m or 1h, not {value!r}")


class FormatTests(SynchronousTestCase):
    """`format_duration`"""

    def test_is_as_people_write_it(self) -> None:
        """The largest unit that fits."""
        words = {0: "0s", 0.25: "250ms", 1: "1s", 90: "90s", 300: "5m", 3600: "1h", 5400: "90m", 60: "60s", 1.5: "1.5s"}
        for seconds, text in words.items():
            self.assertEqual(format_duration(seconds), text)

    @given(st.integers(0, 10_000_000))
    def test_can_be_read_again(self, milliseconds: int) -> None:
        """What is written to the millisecond is read as the same time, so that a shown default can be configured."""
        seconds = milliseconds / 1000
        self.assertAlmostEqual(parse_duration(format_duration(seconds)), seconds, places=6)
