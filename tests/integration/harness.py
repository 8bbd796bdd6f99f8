"""What is under test: txlb with one of its engines in this process, no proxy at all, HAProxy or nginx.

A `Setup` says what a proxy shall do, in words that each of them can be configured with; a *subject* starts a proxy from
it; a `Stage` holds one test's proxy and sockets and knows when everything is back to where it was. All of it blocks and
belongs in a thread, while txlb runs in the reactor of the main one.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread

from tests.integration import wire
from tests.integration.wire import Backend, Place, until
from txlb.service.balancer import Balancer
from txlb.specs import BackendSpec, Config, ListenerSpec, OutlierSpec, PoolSpec, TimeoutsSpec


@frozen
class Setup:
    """One listener and one pool. Outlier ejection is off, so that a test's own failures do not change the next."""

    backends: tuple[Place, ...]
    listen: str = "tcp"
    timeouts: TimeoutsSpec = field(factory=TimeoutsSpec)
    send_proxy: str = "none"
    max_connections: int | None = None
    retries: int = 3


class Running(Protocol):
    """A proxy that serves at `place`."""

    place: Place

    def descriptors(self) -> int: ...
    def resident(self) -> int: ...
    def timers(self) -> int: ...
    def stop(self) -> None: ...


class Subject(Protocol):
    """Starts proxies of one kind."""

    name: str

    def start(self, setup: Setup) -> Running: ...


@define
class Txlb:
    """The balancer in this process, with one engine."""

    engine: str
    name: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.name = f"txlb {self.engine}"

    def config(self, setup: Setup) -> Config:
        """What an operator would have written."""
        address = {"tcp": "tcp:0:interface=127.0.0.1", "tcp6": r"tcp:0:interface=\:\:1"}.get(setup.listen)
        listener = ListenerSpec(
            "front",
            (address or f"unix:{wire.fresh('unix')}",),
            "back",
            self.engine,
            setup.max_connections,
            timeouts=setup.timeouts,
        )
        backends = tuple(BackendSpec(f"b{n}", place.client_string) for n, place in enumerate(setup.backends))
        pool = PoolSpec(
            "back", backends, retries=setup.retries, send_proxy=setup.send_proxy, outliers=OutlierSpec(failures=0)
        )
        return Config({"front": listener}, {"back": pool}, drain_timeout=0.2)

    def start(self, setup: Setup) -> Running:
        """A `Balancer` that listens."""
        balancer = blockingCallFromThread(reactor, Balancer, reactor)
        blockingCallFromThread(reactor, balancer.start, self.config(setup))
        (address,) = blockingCallFromThread(reactor, balancer.addresses, "front")
        where = address.name if setup.listen == "unix" else (address.host, address.port)
        return InProcess(Place(setup.listen, where), balancer)


HOUSEKEEPING = frozenset({"_settle", "_next_second"})
"""Delayed calls that come once, whatever connections do: the epoll engine's look, two seconds
later, at those that last, and the failure log's second. That a stop ends them is seen by trial."""


def _matters(call: Any) -> bool:
    return getattr(call.func, "__name__", "") not in HOUSEKEEPING


@define
class InProcess:
    """A `Balancer` in this process; the test's own sockets are not counted."""

    place: Place
    balancer: Any

    def descriptors(self) -> int:
        """All that this process holds but for the test's."""
        return wire.descriptors() - wire.own_descriptors()

    def resident(self) -> int:
        """Bytes, the test's own included."""
        return wire.resident()

    def timers(self) -> int:
        """Delayed calls that are pending in the reactor, but for `HOUSEKEEPING`."""
        return blockingCallFromThread(reactor, lambda: sum(map(_matters, reactor.getDelayedCalls())))

    def stop(self) -> None:
        """Stop it, whatever is still open."""
        blockingCallFromThread(reactor, self.balancer.stop)


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
        place, bind = _listening_place(setup.listen)
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
        place, _ = _listening_place(setup.listen)
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


def _listening_place(kind: str) -> tuple[Place, str]:
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


@define
class Stage:
    """One test's backends, clients and proxy."""

    subject: Subject
    proxy: Any = None
    before: tuple[int, int] = (0, 0)
    cleanups: list[Callable[[], Any]] = field(factory=list)

    def open(self, *backends: Place, **options: Any) -> Running:
        """Start the proxy in front of these; what it holds now is what it must hold in the end."""
        self.proxy = self.subject.start(Setup(backends, **options))
        self.before = (self.proxy.descriptors(), self.proxy.timers())
        return self.proxy

    def client(self) -> socket.socket:
        """A connection to the proxy."""
        return wire.dial(self.proxy.place)

    def pair(self, kind: str = "tcp", **options: Any) -> tuple[socket.socket, socket.socket]:
        """Both ends of one connection through the proxy: the client's and the backend's."""
        backend = Backend(kind)
        self.open(backend.place, **options)
        client = self.client()
        return client, backend.accept()

    def settled(self, patience: float = wire.PATIENCE) -> None:
        """Wait until the proxy holds no descriptor and no timer more than before the first connection."""
        if self.proxy is not None:
            proxy, (held, pending) = self.proxy, self.before
            until(
                lambda: proxy.descriptors() <= held,
                lambda: f"{proxy.descriptors()} descriptors, {held} before",
                patience,
            )
            until(lambda: proxy.timers() <= pending, lambda: f"{proxy.timers()} timers, {pending} before", patience)

    def play(self, script: Callable[[], Any]) -> None:
        """Run a script; afterwards, close the test's sockets, and when all went well see that the proxy settles."""
        try:
            script()
            wire.close_own()
            self.settled()
        finally:
            self.close()

    def close(self) -> None:
        """Stop everything. A Deferred that failed unseen is logged now, and trial then fails the test."""
        wire.close_own()
        for cleanup in self.cleanups:
            cleanup()
        if self.proxy is not None:
            self.proxy.stop()
            self.proxy = None
        if isinstance(self.subject, Txlb):
            blockingCallFromThread(reactor, gc.collect)
