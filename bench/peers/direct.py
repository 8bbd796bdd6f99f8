"""No proxy: what the load and the backend take by themselves."""

from __future__ import annotations

from bench.peers import Peer

PEER = Peer("direct", lambda: "no proxy", None)
