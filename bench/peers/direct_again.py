"""No proxy a second time: what it "adds" to the first is the noise, below which no added latency means anything."""

from __future__ import annotations

from bench.peers import Peer

PEER = Peer("direct-again", lambda: "no proxy", None, only=("latency",))
