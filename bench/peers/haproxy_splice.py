"""HAProxy with `option splice-auto`, which is off by default: bytes in bulk stay in the kernel."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from bench.peers import Peer, Plan, haproxy


def command(plan: Plan, folder: Path) -> list[str]:
    """As HAProxy, with splicing allowed; its pipes take descriptors too, which leaves fewer for connections."""
    return haproxy.command(evolve(plan, connections=1000), folder, "option splice-auto")


PEER = Peer("haproxy-splice", haproxy.version, command, only=("bulk-one", "bulk-many"))
