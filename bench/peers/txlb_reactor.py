"""txlb with its reactor engine."""

from __future__ import annotations

from bench.peers import Peer, txlb

PEER = Peer("txlb-reactor", txlb.version, txlb.command("reactor"))
