"""nginx with its stream module, built in or loaded. It has no user timeout."""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

from bench.peers import Peer, Plan, fill

_MODULES = ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules", "/usr/local/lib/nginx/modules")
_BALANCE = {"round-robin": "", "least-connections": "least_conn;"}


def _program() -> str | None:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def _module() -> str | None:
    """The stream module's file where it is a file, "" where it is built in, None where there is none."""
    built = subprocess.run([str(_program()), "-V"], capture_output=True, text=True).stderr.split()
    if "--with-stream" in built:
        return ""
    found = [path for folder in _MODULES if (path := Path(folder, "ngx_stream_module.so")).exists()]
    return str(found[0]) if found else None


def version() -> str | None:
    """What `nginx -v` says; None without the stream module."""
    program = _program()
    if program is None or _module() is None:
        return None
    return subprocess.run([program, "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]


def command(plan: Plan, folder: Path, zone: str = "") -> list[str]:
    """In the foreground: one process, or a master and so many workers."""
    module = _module()
    servers = "\n".join(f"        server {host}:{port} max_fails=5 fail_timeout=30s;" for host, port in plan.backends)
    config = fill(
        "nginx.conf",
        folder,
        MODULE=f"load_module {module};" if module else "",
        FILES=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        FOLDER=folder,
        WORKERS=plan.workers,
        MASTER="on" if plan.workers > 1 else "off",
        ZONE=zone,
        BALANCE=_BALANCE[plan.strategy],
        SERVERS=servers,
        PORT=plan.port,
    )
    return [str(_program()), "-c", str(config), "-e", str(folder / "nginx-error.log")]


PEER = Peer("nginx", version, command, note="no user timeout")
