"""How many connections this process can hold."""

from __future__ import annotations

import resource

from txlb.errors import TxlbError

RESERVED = 64
"""Descriptors kept for everything that is not a connection."""

MOST = 1_048_576
"""What is taken for an unlimited number of open files: as many as Linux gives one process unless it is told otherwise."""

FEWER = 10_240
"""What macOS gives a process where its unlimited number is not to be had."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit on open files to the hard one, and return it."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = map(_finite, allowed)
    for wanted in (hard, min(hard, FEWER)):
        if wanted > soft:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed[1]))
            except (ValueError, OSError):  # the kernel knows a lower one that it does not tell
                continue
            return wanted
    return soft


def descriptor_limit() -> int:
    """What `raise_descriptor_limit` would make of it, at most."""
    return max(map(_finite, resource.getrlimit(resource.RLIMIT_NOFILE)))


def most_connections(descriptors: int) -> int:
    """Connections that this many descriptors allow: each takes two."""
    if descriptors < RESERVED + 2:
        raise TxlbError(
            f"the open-file limit of {descriptors} leaves no room for connections; "
            f"it takes {RESERVED} and two for each connection (ulimit -n)"
        )
    return (descriptors - RESERVED) // 2


def _finite(limit: int) -> int:
    return MOST if limit == resource.RLIM_INFINITY else limit
