"""A client that is only asked about."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from txlb.interfaces import IClient
from txlb.model.asked import Asked


class AskedTests(SynchronousTestCase):
    """`Asked`"""

    def test_is_a_client(self) -> None:
        """A strategy finds in it all that it finds in a real one."""
        client = Asked("192.0.2.7")
        verifyObject(IClient, client)
        self.assertEqual((client.host, client.port), ("192.0.2.7", 0))
