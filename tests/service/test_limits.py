"""What the open-file limit allows, with limits that are only said to be there."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from txlb.errors import TxlbError
from txlb.service.limits import FEWER, MOST, descriptor_limit, most_connections, raise_descriptor_limit


class Limits(SynchronousTestCase):
    """`raise_descriptor_limit` and `most_connections`"""

    def limited(self, soft: int, hard: int, most: int | None = None) -> list[tuple[int, int]]:
        """Such limits, of which the kernel takes none over `most`; what it is asked for is written down here."""
        asked: list[tuple[int, int]] = []

        def setrlimit(what: int, limits: tuple[int, int]) -> None:
            asked.append(limits)
            if most is not None and limits[0] > most:
                raise ValueError("current limit exceeds maximum limit")

        self.patch(resource, "getrlimit", lambda what: (soft, hard))
        self.patch(resource, "setrlimit", setrlimit)
        return asked

    def test_raised(self) -> None:
        """The soft limit becomes the hard one, and is left alone where it is that already."""
        asked = self.limited(1024, 4096)
        self.assertEqual((raise_descriptor_limit(), descriptor_limit()), (4096, 4096))
        self.assertEqual(asked, [(4096, 4096)])
        asked = self.limited(4096, 4096)
        self.assertEqual((raise_descriptor_limit(), asked), (4096, []))

    def test_unlimited(self) -> None:
        """An unlimited number is taken for a large one, which never lowers what there is."""
        unlimited = resource.RLIM_INFINITY
        asked = self.limited(256, unlimited)
        self.assertEqual((raise_descriptor_limit(), descriptor_limit()), (MOST, MOST))
        self.assertEqual(asked, [(MOST, unlimited)])
        for soft, expected in ((2 * MOST, 2 * MOST), (unlimited, MOST)):
            asked = self.limited(soft, unlimited)
            self.assertEqual((raise_descriptor_limit(), asked), (expected, []))

    def test_less_than_was_said(self) -> None:
        """Where the kernel refuses the hard limit, as macOS does, a smaller one is taken, or what there is."""
        asked = self.limited(256, resource.RLIM_INFINITY, FEWER)
        self.assertEqual((raise_descriptor_limit(), len(asked)), (FEWER, 2))
        self.limited(256, resource.RLIM_INFINITY, 256)
        self.assertEqual(raise_descriptor_limit(), 256)

    def test_connections(self) -> None:
        """Two descriptors each, after those that are kept; too few for one is an error in words."""
        self.assertEqual([most_connections(number) for number in (66, 67, 1024)], [1, 1, 480])
        error = self.assertRaises(TxlbError, most_connections, 65)
        self.assertIn("open-file limit of 65", str(error))
