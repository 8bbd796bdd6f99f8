"""Clients that wait for a backend: first come, first served, for a limited time.

The queue never calls back from within the change that made room: it is served in a turn of its own, so that a callback
may acquire, release and wait as it likes.

Those who have tried some backends in vain wait for the others only. So one for whom nothing is to be had does not hold up
those behind it who have tried something else.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from txlb.interfaces import Outcome
from txlb.model.backend import Backend
from txlb.model.lease import Lease
from txlb.specs import QueueSpec

log = Logger()


class Ticket:
    """A place in the queue. `tried` are the backends that are no good to it."""

    __slots__ = ("_queue", "callback", "client", "timer", "tried")

    def __init__(
        self, queue: Queue, client: Any, callback: Callable[[Lease | None], object], tried: frozenset[Backend]
    ) -> None:
        self._queue = queue
        self.client = client
        self.callback = callback
        self.tried = tried
        self.timer: IDelayedCall | None = None

    def cancel(self) -> None:
        """Leave the queue; the callback is never called. Does nothing once it was."""
        self._queue.leave(self)


class Queue:
    """`acquire(client, tried)` is asked for a lease; None ends the round for all who have tried the same. `tickets` wait,
    in order."""

    def __init__(self, clock: IReactorTime, acquire: Callable[[Any, frozenset[Backend]], Lease | None]) -> None:
        self._clock = clock
        self._acquire = acquire
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()
        self._tried: Counter[frozenset[Backend]] = Counter()
        self._call: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self.tickets)

    @property
    def tried(self) -> frozenset[Backend]:
        """The backends that all who wait have tried: nobody here waits for those. Asked only while somebody waits."""
        return frozenset.intersection(*self._tried)

    def join(
        self, spec: QueueSpec, client: Any, callback: Callable[[Lease | None], object], tried: frozenset[Backend]
    ) -> Ticket | None:
        """A ticket, or None where the queue is full."""
        if len(self.tickets) >= spec.size:
            return None
        ticket = Ticket(self, client, callback, tried)
        ticket.timer = self._clock.callLater(spec.timeout, self._expired, ticket)
        self.tickets[ticket] = None
        self._tried[tried] += 1
        return ticket

    def leave(self, ticket: Ticket) -> bool:
        """Take a ticket out; returns whether it was still waiting."""
        if ticket not in self.tickets:
            return False
        del self.tickets[ticket]
        self._tried[ticket.tried] -= 1
        if not self._tried[ticket.tried]:
            del self._tried[ticket.tried]
        if ticket.timer is not None and ticket.timer.active():
            ticket.timer.cancel()
        return True

    def serve_soon(self) -> None:
        """Room may have been made: serve those who wait, in the next turn."""
        if self.tickets and self._call is None:
            self._call = self._clock.callLater(0, self._serve)

    def stop(self) -> None:
        """Send everybody away: each callback gets None."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        while self.tickets:
            self._answer(next(iter(self.tickets)), None)

    def _serve(self) -> None:
        self._call = None
        in_vain: set[frozenset[Backend]] = set()
        while not self._tried.keys() <= in_vain:
            ticket = next(ticket for ticket in self.tickets if ticket.tried not in in_vain)
            lease = self._acquire(ticket.client, ticket.tried)
            if lease is None:
                in_vain.add(ticket.tried)
            else:
                self._answer(ticket, lease)

    def _expired(self, ticket: Ticket) -> None:
        self._answer(ticket, None)

    def _answer(self, ticket: Ticket, lease: Lease | None) -> None:
        self.leave(ticket)
        try:
            ticket.callback(lease)
        except Exception:
            log.failure("A client that waited in the queue could not be served")
            if lease is not None and not lease.released:
                lease.release(Outcome.LOCAL_ERROR)
