"""HAProxy, as the distribution ships it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.peers import Peer, Plan, fill

_BALANCE = {"round-robin": "roundrobin", "least-connections": "leastconn"}


def version() -> str | None:
    """What `haproxy -v` says, such as `2.6.12-1+deb12u4`."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        return None
    words = subprocess.run([program, "-v"], capture_output=True, text=True).stdout.split()
    return words[words.index("version") + 1]


def command(plan: Plan, folder: Path, splice: str = "") -> list[str]:
    """In the foreground, one process of as many threads as workers are asked for."""
    # Its roundrobin holds 4095 servers at most; static-rr is the same order without that limit.
    balance = "static-rr" if len(plan.backends) > 4000 and plan.strategy == "round-robin" else _BALANCE[plan.strategy]
    servers = "\n".join(f"    server s{n} {host}:{port}" for n, (host, port) in enumerate(plan.backends))
    config = fill(
        "haproxy.cfg",
        folder,
        PORT=plan.port,
        THREADS=plan.workers,
        BALANCE=balance,
        CONNECTIONS=plan.connections,
        SERVERS=servers,
        SPLICE=splice,
    )
    return ["/usr/sbin/haproxy" if Path("/usr/sbin/haproxy").exists() else "haproxy", "-db", "-f", str(config)]


PEER = Peer("haproxy", version, command)
