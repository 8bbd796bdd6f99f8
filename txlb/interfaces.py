"""The interfaces that the parts of txlb, and other people's plugins, agree on.

A strategy needs `IStrategy` only; each further interface that it provides switches on one more stream of information.
Names that a third party may rely on live here, in `txlb.plugin` and in `txlb.testing`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from enum import StrEnum
from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface


class Outcome(StrEnum):
    """How a connection, or one attempt to reach a backend, ended."""

    OK = "ok"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect-timeout"
    RESET_BY_BACKEND = "reset-by-backend"
    RESET_BY_CLIENT = "reset-by-client"
    IDLE_TIMEOUT = "idle-timeout"
    HALF_CLOSE_TIMEOUT = "half-close-timeout"
    LINGER_TIMEOUT = "linger-timeout"
    LOCAL_ERROR = "local-error"
    REJECTED = "rejected"
    DRAINED = "drained"


class Measure(StrEnum):
    """What `IObservesTime.measured` was told the time of, each counted from the start of the dial."""

    CONNECT = "connect"
    FIRST_BYTE = "first-byte"
    LAST_BYTE = "last-byte"


class IBackend(Interface):
    """One server as a strategy sees it. Hashed by identity, ordered by name."""

    name = Attribute("str: unique in its pool")
    weight = Attribute("int: the effective weight, scaled by 100: the configured one, slow start and overrides applied")
    active = Attribute("int: connections open or being dialled now, over all workers")
    up_since = Attribute("float: the clock's seconds when it last became eligible")


class IClient(Interface):
    """Who asks for a backend."""

    host = Attribute("str: the client's address, such as '192.0.2.7'; empty for a UNIX socket")
    port = Attribute("int: the client's port; 0 for a UNIX socket")
    address = Attribute("IAddress: made when asked for")
    listener = Attribute("str: the name of the listener that accepted it")


class IStrategy(Interface):
    """Picks one of a pool's eligible backends. Pure and deterministic: no I/O, no wall clock, no `random` of its own.

    It never sees health, retries or limits, because the pool offers eligible backends only.
    """

    def rebuild(backends: tuple[Any, ...]) -> Iterator[None] | None:
        """The eligible set (`IBackend`s, ordered by name, each of weight above 0) or a weight in it changed.

        Returns None, or an iterator whose steps the pool runs in slices of at most 5 ms while the old table serves.
        """

    def pick(client: Any, exclude: Container[Any] = ()) -> Any:
        """The `IBackend` for this `IClient`, not one in `exclude`; None when there is none."""


class IObservesLoad(Interface):
    """A strategy that wants to know at once when a load changes."""

    def changed(backend: Any) -> None:
        """`backend.active` changed, here or in another worker."""


class IObservesTime(Interface):
    """A strategy that learns from measured times."""

    def measured(backend: Any, what: str, seconds: float) -> None:
        """`what` is a `Measure`; told when it happens, not when the connection ends."""


class IObservesOutcome(Interface):
    """A strategy that learns from how connections end."""

    def released(backend: Any, outcome: str) -> None:
        """`outcome` is an `Outcome`; may concern a connection that this object never picked for."""


class IExplains(Interface):
    """A strategy that can say why it would pick."""

    def scores(client: Any) -> list[tuple[Any, float, str]]:
        """(backend, score, why) for each backend, the one it would pick first; changes nothing."""


class IStrategyMaker(IPlugin):
    """A plugin line that names a strategy without importing it. See `txlb.plugin.StrategyMaker`."""

    name = Attribute("str: the name in the configuration, such as 'round-robin'")
    factory = Attribute("str: 'package.module:Class'")
    help = Attribute("str: one line for people who choose")

    def load() -> type:
        """The class; imports its module. Raises BrokenPlugin."""


class IHealthCheck(Interface):
    """A way to find out whether a backend works. Options are typed fields; a field named `reactor` is given."""

    def probe(connect: str) -> Any:
        """A Deferred that fires with what was seen in a few words, or fails with `CheckFailed` and the reason.

        `connect` is a Twisted client endpoint string. The caller cancels it at the timeout, whereupon everything it
        holds must be let go.
        """


class IProbesByName(Interface):
    """A health check that wants to know whom it probes."""

    def probe_named(connect: str, pool: str, backend: str) -> Any:
        """As `IHealthCheck.probe`, and called instead of it, with the names of the pool and of the backend."""


class IHealthCheckMaker(IPlugin):
    """A plugin line that names a health check without importing it. See `txlb.plugin.HealthCheckMaker`."""

    name = Attribute("str: the name in the configuration, such as 'http'")
    factory = Attribute("str: 'package.module:Class'")
    help = Attribute("str: one line for people who choose")

    def load() -> type:
        """The class; imports its module. Raises BrokenPlugin."""


class IInspectsBytes(Interface):
    """Marks a Protocol on either side that must see the bytes, so that its connection is never linked."""


class IDial(Interface):
    """One attempt to reach a backend."""

    def cancel() -> None:
        """Give up. The factory hears nothing more; the descriptor is closed. Does nothing once it has ended."""


class IDialFactory(Interface):
    """Gets the result of one dial: exactly one of these is called once, never from within `IEngine.dial` itself
    unless the answer is there at once."""

    def buildProtocol(address: Any) -> Any:
        """Connected: the Protocol for it, on which `makeConnection(transport)` is called next."""

    def dialFailed(error: Any) -> None:
        """Not connected; `error` is a `txlb.errors.DialError` with outcome `refused` or `local-error`."""


class IAcceptor(Interface):
    """A listening port that an engine serves."""

    def pause() -> None:
        """Accept nothing more for now; clients wait in the backlog."""

    def resume() -> None:
        """Accept again."""

    def accept_waiting() -> None:
        """Accept at once all who wait in the backlog, as far as there is room, because the port will be closed, which
        resets those who are left in it. Does nothing once it was released."""

    def release() -> Any:
        """Stop serving it and leave the IListeningPort open, not accepting, for another engine or to be closed."""


class IEngine(Interface):
    """Moves bytes: serves listening ports, dials backends, links two transports.

    Every engine passes the same conformance suite. Both legs of a connection are of one engine.
    """

    name = Attribute("str: as in the configuration")
    links = Attribute("bool: `link` works, and a loss is reported on a transport that is paused")

    def objection(listen: Iterable[str], connects: Iterable[str]) -> str | None:
        """Why this engine cannot serve these server and client endpoint strings, or None when it can."""

    def prepare(connects: Iterable[str], sockets: Any) -> None:
        """The complete set of client endpoint strings that may be dialled from now on: parse and resolve them, forget
        others; what it objects to is left out. `sockets` is the `TimeoutsSpec` whose `keepalive` and `user_timeout` go
        for dialled sockets."""

    def serve(port: Any, factory: Any, room: Any) -> Any:
        """Accept on a bound `IListeningPort` (made with `factory`, reading stopped) and return the IAcceptor.

        `room()` says how many connections may be accepted now; an engine never accepts more than that. It asks at
        each wake-up; the owner calls `pause` and `resume` on the acceptor beside.
        """

    def dial(connect: str, factory: Any) -> Any:
        """Start one attempt to reach a prepared client endpoint string; returns an IDial. No timeout of its own."""

    def link(client: Any, backend: Any) -> None:
        """Only where `links` is true. From now on what arrives on one of these two transports goes out on the other, without `dataReceived`.

        What was written to either before is sent first. EOF is told by `readConnectionLost()` on the protocol of the
        transport it was read from, once all that was read before has been accepted by the kernel for the other; a
        loss by `connectionLost(reason)`, likewise. `transport.received` counts bytes read. The first bytes read from
        `backend` are told by `firstByte()` on its protocol.
        """

    def unsent(transport: Any) -> int:
        """Bytes handed to this transport (written, or linked to it) that the kernel has not accepted yet."""

    def broken(transport: Any) -> bool:
        """Whether the kernel knows of a reset that was not told, because the transport is paused. Where `links` is true
        such a loss is told at once, and this is never asked."""

    def reset(transport: Any, linger: float) -> None:
        """Pass a reset on: when all that was written has been acknowledged by the other end, or after `linger` seconds,
        close with a reset (TCP), or just close (UNIX sockets, TLS). `connectionLost` follows."""

    def stop() -> None:
        """Drop everything at once: acceptors, dials, connections. For the end of the process and of tests."""


class IEngineTransport(ITransport):
    """What the linked transports of an engine add to ITCPTransport."""

    received = Attribute("int: bytes read from the peer so far")


class IControl(Interface):
    """The balancer as its operators see it, be it one process or many. The admin, the metrics and the command line
    know nothing else. Everything that changes something names who asked, for the audit line."""

    bus = Attribute("txlb.events.EventBus: what happens, in whichever process")

    def ready() -> bool:
        """Whether to send clients here: not draining, and every listener's pool has a backend to offer."""

    def draining() -> bool:
        """Whether it accepts no more."""

    def state() -> Any:
        """A Deferred of the state as plain data: `{listeners: …, pools: …}`."""

    def measurements() -> Any:
        """A Deferred of counters and histograms beyond the state, as plain data:
        `{listeners: {name: Listener.measurements()}, pools: {name: Pool.measurements()}, process: {…}}`."""

    def explain(pool: str, client: str) -> Any:
        """A Deferred of which backend a client with that address gets and why. Fails with KeyError."""

    def set_admin(pool: str, backend: str, state: str, by: str) -> Any:
        """`ready`, `drain` or `maint`; a Deferred. Fails with KeyError or ValueError."""

    def set_weight(pool: str, backend: str, weight: int, by: str) -> Any:
        """0 to 1000; a Deferred. Fails with KeyError or ValueError."""

    def add(pool: str, backend: Any, by: str) -> Any:
        """One more backend, by its `BackendSpec`; a Deferred. Fails with KeyError or ValueError."""

    def remove(pool: str, backend: str, by: str) -> Any:
        """One backend less; a Deferred. Fails with KeyError."""

    def reload(by: str) -> Any:
        """Read the configuration file again; a Deferred. Fails with ConfigError or PortUnavailable."""
