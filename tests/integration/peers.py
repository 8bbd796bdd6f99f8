"""What txlb is compared with: no proxy at all, HAProxy and nginx, configured from the same `Setup`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from attrs import define, field

from tests.integration import wire
from tests.integration.harness import Running, Setup, Subject
from tests.integration.wire import Place, until


@define
class Direct:
    """No proxy: shows what the kernel alone does."""

    name: str = "direct"

    def start(self, setup: Setup) -> Running:
        return Nothing(setup.backends[0])


@define
class Nothing:
    """The absence of a proxy."""

    place: Place

    def descriptors(self) -> int:
        return 0

    def resident(self) -> int:
        return 0

    def timers(self) -> int:
        return 0

    def stop(self) -> None:
        pass


def _milliseconds(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


@define
class HAProxy:
    """HAProxy in one thread, configured as txlb would be."""

    name: str = "HAProxy"

    def start(self, setup: Setup) -> Running:
        place, bind = listening_place(setup.listen)
        times, send = setup.timeouts, {"none": "", "v1": " send-proxy", "v2": " send-proxy-v2"}[setup.send_proxy]
        lines = [
            "global",
            " nbthread 1",
            f" maxconn {2000}",
            "defaults",
            " mode tcp",
            f" timeout connect {_milliseconds(times.connect)}",
            f" timeout client {_milliseconds(times.idle)}",
            f" timeout server {_milliseconds(times.idle)}",
            f" timeout client-fin {_milliseconds(times.half_close)}",
            f" timeout server-fin {_milliseconds(times.half_close)}",
            f" retries {setup.retries}",
            " option redispatch 1",
            "frontend front",
            f" bind {bind}",
            *([f" maxconn {setup.max_connections}"] if setup.max_connections else []),
            " default_backend back",
            "backend back",
            " balance roundrobin",
            *(f" server b{n} {backend.plain}{send}" for n, backend in enumerate(setup.backends)),
        ]
        return spawn(place, "haproxy.cfg", "\n".join(lines) + "\n", ["haproxy", "-db", "-q", "-f"])


@define
class Nginx:
    """nginx's stream module in one process, configured as txlb would be."""

    half_close: bool = False
    name: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.name = "nginx half_close on" if self.half_close else "nginx"

    def start(self, setup: Setup) -> Running:
        place, _ = listening_place(setup.listen)
        module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
        times, unix = setup.timeouts, {"unix": "unix:"}
        servers = " ".join(f"server {unix.get(b.kind, '')}{b.plain} max_fails=0;" for b in setup.backends)
        text = f"""
            daemon off; master_process off; pid {wire.fresh("unix")}; error_log stderr crit;
            {f"load_module {module};" if module.exists() else ""}
            events {{ worker_connections 2000; }}
            stream {{
                upstream back {{ {servers} }}
                server {{
                    listen {unix.get(place.kind, "")}{place.plain}; proxy_pass back;
                    proxy_connect_timeout {_milliseconds(times.connect)}; proxy_timeout {_milliseconds(times.idle)};
                    proxy_next_upstream_tries {setup.retries + 1};
                    {"proxy_protocol on;" if setup.send_proxy == "v1" else ""}
                    {"proxy_half_close on;" if self.half_close else ""}
                }}
            }}"""
        return spawn(place, "nginx.conf", text, ["nginx", "-e", "/dev/null", "-c"])


def listening_place(kind: str) -> tuple[Place, str]:
    """A free place for a program that binds by itself, and how HAProxy writes it."""
    address = wire.fresh(kind)
    if kind == "unix":
        return Place(kind, address), f"unix@{address}"
    with socket.socket(Place(kind, address).family) as probe:
        probe.bind(address)
        place = Place(kind, probe.getsockname()[:2])
    return place, place.plain


def listens(place: Place) -> bool:
    """Whether something listens there, without connecting to it."""
    if place.kind == "unix":
        return Path(place.address).is_socket()
    table = Path("/proc/net/tcp6" if place.kind == "tcp6" else "/proc/net/tcp").read_text()
    wanted = f":{place.address[1]:04X}"
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in map(str.split, table.splitlines()[1:]))


def spawn(place: Place, name: str, text: str, command: list[str]) -> Running:
    """Run a program on a configuration file and wait until it listens."""
    file = Path(wire.fresh("unix")).with_suffix(f".{name}")
    file.write_text(text)
    process = subprocess.Popen([*command, str(file)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    running = Program(place, process)
    try:
        until(lambda: listens(place) or process.poll() is not None, f"{command[0]} listens")
        _quiet(running)
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} does not start with this configuration:\n{text}")
    except AssertionError:
        running.stop()
        raise
    return running


def _quiet(running: Program) -> None:
    """A program may open more after it listens: wait until it no longer does."""
    held = -1
    while running.process.poll() is None and held != (held := running.descriptors()):
        time.sleep(0.05)


@define
class Program:
    """A proxy that is another process."""

    place: Place
    process: subprocess.Popen[bytes]

    def descriptors(self) -> int:
        """What it holds."""
        return wire.descriptors(self.process.pid)

    def resident(self) -> int:
        """Bytes."""
        return wire.resident(self.process.pid)

    def timers(self) -> int:
        """Not to be seen from outside."""
        return 0

    def stop(self) -> None:
        """Kill it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def missing(subject: Subject) -> str | None:
    """Why this subject cannot be tested here, if so."""
    program = {"HAProxy": "haproxy", "nginx": "nginx", "nginx half_close on": "nginx"}.get(subject.name)
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    return None if program is None or shutil.which(program, path=path) else f"{program} is not installed"
