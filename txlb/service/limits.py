"""How many connections this process can hold."""

from __future__ import annotations

import resource

from txlb.errors import TxlbError

RESERVED = 64
"""Descriptors kept for everything that is not a connection."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit on open files to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def most_connections(descriptors: int) -> int:
    """Connections that this many descriptors allow: each takes two."""
    if descriptors < RESERVED + 2:
        raise TxlbError(f"the open-file limit of {descriptors} leaves no room for connections")
    return (descriptors - RESERVED) // 2
