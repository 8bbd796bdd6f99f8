"""One client's connection, from accept to close.

    REACHING ──► MOVING ──► CLOSING ──► OVER
        │                      ▲
        └──────────────────────┘

- *reaching*: a lease is awaited or a backend is being dialled. What the client sends waits: in the kernel where the
  engine links, else in `_early`, about 64 KiB of it.
- *moving*: both sides are there. The end of one direction half-closes the other side.
- *closing*: both directions have ended, or one side is lost; what is left is being flushed.
- *over*: nobody is left. The lease was released and the listener told.

Later troubles follow from the first one, so `_decide` keeps the first outcome only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb.errors import DialError
from txlb.interfaces import Outcome
from txlb.proxy.send_proxy import header
from txlb.proxy.sides import BackendSide, BackendSideFactory, Client, ClientSide, Side

if TYPE_CHECKING:
    from txlb.proxy.listener import Listener

log = Logger()

EARLY_LIMIT = 65536
"""Bytes kept for a backend that is not there yet, before reading from the client is paused."""

NOBODY: frozenset[Any] = frozenset()


REACHING, MOVING, CLOSING, OVER = range(4)
"""Where a pair is; see the module's picture. Plain numbers, since each connection compares them a dozen times."""


class ProxyPair:
    """Links a `ClientSide` and a `BackendSide`. Called by these two, by the sweeper and by the listener."""

    __slots__ = (
        "_backend_ended",
        "_client_ended",
        "_dial",
        "_early",
        "_early_size",
        "_error",
        "_ticket",
        "_tried",
        "backend_name",
        "backend_side",
        "client",
        "client_side",
        "connect_seconds",
        "dialled",
        "engine",
        "first_byte_seconds",
        "gone",
        "lease",
        "linked",
        "listener",
        "mark",
        "outcome",
        "pool",
        "reason",
        "shard",
        "since",
        "started",
        "state",
        "tries",
    )

    def __init__(self, listener: Listener, side: ClientSide, client: Client) -> None:
        self.listener = listener
        self.engine = listener.engine
        self.linked = listener.linked
        self.pool = listener.pool
        self.client_side = side
        self.client = client
        self.backend_side: BackendSide | None = None
        self.lease: Any = None
        self.backend_name = ""
        self.shard: set[ProxyPair] | None = None
        self.state = REACHING
        self.outcome: Outcome | None = None
        self.reason = ""
        self.tries = 0
        self.started = self.dialled = self.since = listener.now()
        self.connect_seconds: float | None = None
        self.first_byte_seconds: float | None = None
        self.mark = 0
        self._dial: Any = None
        self._ticket: Any = None
        self._tried: Any = NOBODY
        self._error: DialError | None = None
        self._early: list[bytes] | None = None
        self._early_size = 0
        self._client_ended = self._backend_ended = False
        self.gone: Side | None = None

    # Reaching a backend

    def start(self) -> None:
        """The client's transport is there."""
        if self.linked:
            self.client_side.transport.pauseProducing()
        if refusal := self.listener.admit(self):
            self._refuse(Outcome.REJECTED, refusal)
        elif self.client_side.ready:
            self._acquire()

    def client_ready(self) -> None:
        """The client has completed its TLS handshake, before which no backend is bothered."""
        if self.state == REACHING:
            self.dialled = self.listener.now()
            self._acquire()

    def _acquire(self) -> None:
        lease = self.pool.acquire(self.client, self._tried)
        if lease is not None:
            self._reach(lease)
            return
        self._ticket = self.pool.wait(self.client, self._served, self._tried)
        if self._ticket is None:
            if self._error is not None:
                self._refuse(self._error.outcome, self._error.reason)
            else:
                self._refuse(Outcome.REJECTED, "no backend to be had")

    def _served(self, lease: Any) -> None:
        self._ticket = None
        if lease is None:
            self._refuse(Outcome.REJECTED, "no backend became free in time")
        else:
            self.dialled = self.listener.now()  # the wait was no fault of the backend
            self._reach(lease)

    def _reach(self, lease: Any) -> None:
        self.lease = lease
        self.backend_name = lease.backend.name
        self.tries += 1
        if self.tries > 1:
            self.dialled = self.listener.now()
        connect = lease.backend.spec.connect
        try:
            dial = self.engine.dial(connect, BackendSideFactory(self))
        except Exception:  # an endpoint's own, or this engine cannot dial what a reload has brought
            if self.lease is not lease:
                raise
            log.failure("Cannot dial {connect}", connect=connect)
            self.dial_failed(DialError(Outcome.LOCAL_ERROR, "the dial could not be started"))
            return
        if self.lease is lease and self.backend_side is None:  # else it was answered at once
            self._dial = dial

    def handshaking(self, side: BackendSide) -> None:
        """The backend is connected, and will be ready when TLS is."""
        self._dial = None
        self.backend_side = side

    def dial_failed(self, error: DialError) -> None:
        """This attempt is over; nothing was forwarded, so another backend may be tried."""
        self._dial = self.backend_side = None
        lease, self.lease = self.lease, None
        lease.release(error.outcome)
        self._error = error
        self._tried = self._tried | {lease.backend}
        if self.tries <= self.pool.spec.retries:
            self._acquire()
        else:
            self._refuse(error.outcome, error.reason)

    def abandon(self) -> None:
        """Stop whatever is under way to reach a backend."""
        if self._ticket is not None:
            self._ticket.cancel()
        if self._dial is not None:
            self._dial.cancel()
        if self.backend_side is not None:
            self.backend_side.abandon()
        self._ticket = self._dial = self.backend_side = None

    def _refuse(self, outcome: Outcome | str, reason: str) -> None:
        self._decide(outcome, reason)
        self.state = CLOSING
        self.client_side.transport.abortConnection()

    # Moving bytes

    def connected(self, side: BackendSide) -> None:
        """A backend is there and ready."""
        self._dial = None
        self.backend_side = side
        self.since = self.listener.now()
        self.connect_seconds = self.since - self.dialled
        self.lease.connected(self.connect_seconds)
        self.state = MOVING
        client, backend = self.client_side.transport, side.transport
        if self.pool.spec.send_proxy != "none":
            backend.write(header(self.pool.spec.send_proxy, client.getPeer(), client.getHost()))
        if self.linked:
            self.engine.link(client, backend)
        else:
            self._couple(self.client_side, side)

    def _couple(self, client: ClientSide, backend: BackendSide) -> None:
        """Let bytes pass through the Protocols, each side being the producer of the other's transport."""
        if self._early_size > EARLY_LIMIT:
            client.resumeProducing()
        client.transport.registerProducer(backend, True)
        backend.transport.registerProducer(client, True)
        if self._early:
            backend.transport.writeSequence(self._early)
            self._early = None
        if self._client_ended:
            self._half_close(backend.transport)

    def client_data(self, data: bytes) -> None:
        """The client sent something."""
        if self.state == MOVING:
            self.backend_side.transport.write(data)  # type: ignore[union-attr]
        elif self.state == REACHING:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self._early is None:
            self._early = []
        self._early.append(data)
        self._early_size += len(data)
        if self._early_size > EARLY_LIMIT:
            self.client_side.transport.pauseProducing()

    def backend_data(self, data: bytes) -> None:
        """The backend sent something."""
        if self.state == MOVING:
            self.client_side.transport.write(data)

    def first_byte(self) -> None:
        """The backend's first bytes are here."""
        self.first_byte_seconds = self.listener.now() - self.dialled
        self.lease.first_byte(self.first_byte_seconds)

    # Ending

    def read_ended(self, side: Side) -> None:
        """A side sends no more."""
        if not (self.linked or self.engine.links) and self.engine.broken(side.transport):
            # Where reading was paused and resumed in one turn, Twisted takes a reset for an end.
            side.transport.abortConnection()
            return
        if side is self.client_side:
            self._client_ended = True
        else:
            self._backend_ended = True
        if self.state != MOVING:
            return
        if self._client_ended and self._backend_ended:
            self._begin_closing()
            self._close(self.client_side)
            self._close(self.backend_side)
        else:
            self._half_close((self.backend_side if self._client_ended else self.client_side).transport)  # type: ignore[union-attr]

    def lost(self, side: Side, reason: Failure) -> None:
        """A side is gone: we closed it, it was reset, or (TLS) its other end closed both directions at once."""
        before = self.state
        reset = not isinstance(reason.value, ConnectionDone) and self._is_reset(reason.value)
        if reset or before == REACHING:
            by_client = side is self.client_side
            self._decide(Outcome.RESET_BY_CLIENT if by_client else Outcome.RESET_BY_BACKEND, _words(reason))
        if before == REACHING:
            self.abandon()
        other = self.backend_side if side is self.client_side else self.client_side
        if other is None or other is self.gone:
            self._over()
            return
        self.gone = side
        if before == MOVING:
            self._begin_closing()
            self._pass_reset(other) if reset else self._close(other)

    def _is_reset(self, error: BaseException | None) -> bool:
        """Not when it is our own abort, which comes in CLOSING only, but for one that `txlb.proxy.timeouts` found."""
        return self.state != CLOSING or not isinstance(error, ConnectionAborted)

    def _begin_closing(self) -> None:
        self.state = CLOSING
        self.since = self.listener.now()

    def _half_close(self, transport: Any) -> None:
        if not self.linked:
            # A producer that stays registered is resumed instead of the transport being closed.
            transport.unregisterProducer()
            if ISSLTransport.providedBy(transport):
                return  # TLS ends both directions at once: what is still to come the other way would be lost
        transport.loseWriteConnection()

    def _close(self, side: Side | None) -> None:
        transport = side.transport  # type: ignore[union-attr]
        if not self.linked:
            transport.unregisterProducer()
        transport.loseConnection()

    def _pass_reset(self, side: Side) -> None:
        if not self.linked:
            side.transport.unregisterProducer()
        self.engine.reset(side.transport, self.listener.timeouts.linger)

    def abort(self, outcome: Outcome, reason: str) -> None:
        """End it now, with a reset to whoever is still there."""
        if self.state == OVER:
            return
        self._decide(outcome, reason)
        if self.state == REACHING:
            self.abandon()
        self._begin_closing()
        for side in self.sides:
            side.transport.abortConnection()

    def _decide(self, outcome: Outcome | str, reason: str) -> None:
        if self.outcome is None:
            self.outcome = Outcome(outcome)
            self.reason = reason

    def _over(self) -> None:
        self.state = OVER
        self.listener.closed(self)
        del self.client_side, self.backend_side, self.gone  # no reference cycle outlives a connection

    @property
    def half_closed(self) -> bool:
        """Whether one side sends no more."""
        return self._client_ended or self._backend_ended

    @property
    def sides(self) -> list[Side]:
        """Those that are still there."""
        return [side for side in (self.client_side, self.backend_side) if side is not None and side is not self.gone]

    @property
    def pool_name(self) -> str:
        """The pool that it was served from."""
        return self.pool.name

    @property
    def bytes_in(self) -> int:
        """Bytes read from the client."""
        return self._received(self.client_side)

    @property
    def bytes_out(self) -> int:
        """Bytes read from the backend."""
        return self._received(self.backend_side)

    def _received(self, side: Side | None) -> int:
        if side is None:
            return 0
        received: int = side.transport.received if self.linked else side.received
        return received


def _words(reason: Failure) -> str:
    if reason.check(ConnectionDone):
        return "closed before a backend was reached"
    return "connection reset" if reason.check(ConnectionLost, ConnectionAborted) else reason.getErrorMessage()
