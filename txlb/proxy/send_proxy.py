"""The PROXY protocol's header, by which a backend learns who the client is.

Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack
from typing import Any

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PROXY, _LOCAL = 0x21, 0x20
_TCP4, _TCP6, _UNSPECIFIED = 0x11, 0x21, 0x00

Ends = tuple[IPv4Address, int, IPv4Address, int] | tuple[IPv6Address, int, IPv6Address, int]


def header(version: str, source: Any, destination: Any) -> bytes:
    """The header of `version` (`v1` or `v2`) for two Twisted addresses: the client's, and the one that it connected to.

    Where they are no IP addresses (a UNIX socket), the header says that the client is not known.
    """
    ends = _ends(source, destination)
    return _v1(ends) if version == "v1" else _v2(ends)


def _ends(source: Any, destination: Any) -> Ends | None:
    try:
        sender, receiver = _plain(ip_address(source.host)), _plain(ip_address(destination.host))
    except (AttributeError, ValueError):
        return None
    if isinstance(sender, IPv4Address) and isinstance(receiver, IPv4Address):
        return sender, source.port, receiver, destination.port
    return _as_v6(sender), source.port, _as_v6(receiver), destination.port


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 client of a listener that serves both families arrives as ::ffff:192.0.2.7."""
    return getattr(address, "ipv4_mapped", None) or address


def _as_v6(address: IPv4Address | IPv6Address) -> IPv6Address:
    return address if isinstance(address, IPv6Address) else IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _v1(ends: Ends | None) -> bytes:
    if ends is None:
        return b"PROXY UNKNOWN\r\n"
    source, source_port, destination, destination_port = ends
    # An IPv6 zone (fe80::1%eth0) means nothing to another host.
    addresses = f"{str(source).partition('%')[0]} {str(destination).partition('%')[0]}"
    return f"PROXY TCP{source.version} {addresses} {source_port} {destination_port}\r\n".encode("ascii")


def _v2(ends: Ends | None) -> bytes:
    if ends is None:
        return _SIGNATURE + pack("!BBH", _LOCAL, _UNSPECIFIED, 0)
    source, source_port, destination, destination_port = ends
    family = _TCP4 if source.version == 4 else _TCP6
    body = source.packed + destination.packed + pack("!HH", source_port, destination_port)
    return _SIGNATURE + pack("!BBH", _PROXY, family, len(body)) + body
