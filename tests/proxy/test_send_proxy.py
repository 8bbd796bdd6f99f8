"""The PROXY protocol's headers against its specification."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from txlb.proxy.send_proxy import header

V4 = IPv4Address("TCP", "192.0.2.7", 56324), IPv4Address("TCP", "198.51.100.1", 443)
V6 = IPv6Address("TCP", "2001:db8::7", 56324), IPv6Address("TCP", "2001:db8::1", 443)
MAPPED = IPv6Address("TCP", "::ffff:192.0.2.7", 56324), IPv6Address("TCP", "::ffff:198.51.100.1", 443)
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


class Header(SynchronousTestCase):
    """Byte for byte."""

    def test_v1(self) -> None:
        """The examples of section 2.1, and that a mapped address is told as what it is."""
        self.assertEqual(header("v1", *V4), b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n")
        self.assertEqual(header("v1", *V6), b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n")
        self.assertEqual(header("v1", *MAPPED), header("v1", *V4))
        self.assertEqual(header("v1", UNIXAddress(b""), UNIXAddress(b"/s")), b"PROXY UNKNOWN\r\n")

    def test_v2(self) -> None:
        """Version 2, command PROXY, the family, the length and the packed addresses of section 2.2."""
        body = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
        self.assertEqual(header("v2", *V4), SIGNATURE + b"\x21\x11\x00\x0c" + body)
        self.assertEqual(header("v2", *MAPPED), header("v2", *V4))
        six = header("v2", *V6)
        self.assertEqual((six[:16], len(six)), (SIGNATURE + b"\x21\x21\x00\x24", 52))

    def test_v2_of_a_local_client(self) -> None:
        """Without addresses the command is LOCAL, which a receiver takes as its own connection's."""
        self.assertEqual(header("v2", UNIXAddress(b""), UNIXAddress(b"/s")), SIGNATURE + b"\x20\x00\x00\x00")
