"""nginx with `zone`: its workers count a backend's connections together, in shared memory, instead of each its own."""

from __future__ import annotations

from pathlib import Path

from bench.peers import Peer, Plan, nginx


def command(plan: Plan, folder: Path) -> list[str]:
    """As nginx, with a megabyte to share."""
    return nginx.command(plan, folder, "zone bench 1m;")


PEER = Peer("nginx-zone", nginx.version, command, only=("workers-spread",))
