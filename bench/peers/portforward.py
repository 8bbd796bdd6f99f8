"""Twisted's own `portforward`, with its default reactor. It balances nothing and has no timeouts and no half-close."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import twisted
from bench.peers import Peer, Plan


def command(plan: Plan, folder: Path) -> list[str]:
    """This file as a program; it dials the first backend."""
    host, port = plan.backends[0]
    return [sys.executable, "-m", "bench.peers.portforward", str(plan.port), host, str(port)]


PEER = Peer(
    "portforward",
    lambda: f"Twisted {twisted.__version__}",
    command,
    balances=False,
    note="one backend, no timeouts, no keepalive, no half-close",
)


def main(port: str, host: str, backend: str) -> None:
    """Forward 127.0.0.1:`port` to `host`:`backend` until killed."""
    from twisted.internet import reactor as installed
    from twisted.protocols.portforward import ProxyFactory

    reactor: Any = installed
    factory = ProxyFactory(host, int(backend))
    factory.noisy = False
    reactor.listenTCP(int(port), factory, backlog=4096, interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
