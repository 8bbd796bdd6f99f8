"""txlb with its epoll engine."""

from __future__ import annotations

from bench.peers import Peer, txlb

PEER = Peer("txlb-epoll", txlb.version, txlb.command("epoll"))
