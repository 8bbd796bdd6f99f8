"""The admin as a whole. It outlives reloads; what a reload changes is who may ask (`access`)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb import __version__
from txlb.admin.access import Access, who
from txlb.admin.answers import Answer, Refusal
from txlb.admin.api import Api, Render
from txlb.admin.channel import AdminFactory, AdminRequest
from txlb.admin.pages import Page, load_pages
from txlb.admin.routes import find
from txlb.admin.streams import Streams
from txlb.interfaces import IControl

log = Logger()

ANSWER_TIME = 20.0
"""Seconds for the balancer to answer; another process may have to be asked."""

REFUSALS_LOGGED_EVERY = 10.0


class Admin:
    """Serves `control` on whichever port gives its connections to `factory`.

    `metrics` renders them, see `txlb.admin.api.Render`; None: there is no such path. `facts()` adds to the state.
    """

    def __init__(
        self,
        control: IControl,
        reactor: Any,
        clock: IReactorTime,
        *,
        metrics: Render | None = None,
        facts: Callable[[], dict[str, Any]] = dict,
        pages: dict[str, Page] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.access = Access()
        self.factory = AdminFactory(clock, self.serve)
        self._clock = clock
        self._started = now()
        self._facts = facts
        self._born = clock.seconds()
        self._refused = 0
        self._refusals_logged = -REFUSALS_LOGGED_EVERY
        self._streams = Streams(control.bus, clock, lambda: api.encoded_state(), now)
        shown = load_pages() if pages is None else pages
        api = Api(control, reactor, clock, self._streams, self._all_facts, metrics, shown)
        self._routes = api.routes()

    def admit(self, access: Access) -> None:
        """From now on these may ask; streams that were opened under other rules have to be opened again."""
        if access != self.access:
            self.access = access
            self._streams.drop_all("comes under other rules")

    def retire(self) -> None:
        """The admin is no longer offered where it was: end the connections there."""
        self._streams.drop_all("loses its port")
        self.factory.close()

    def stop(self) -> None:
        """Let go of everything."""
        self._streams.stop()
        self.factory.close()

    def serve(self, request: AdminRequest) -> Deferred[None]:
        """Answer a request that is here in full."""
        asked = maybeDeferred(self._handle, request)
        asked.addTimeout(ANSWER_TIME, self._clock)
        asked.addErrback(self._failed, request)
        asked.addCallback(lambda answer: None if answer is None else request.send(answer))
        return asked.addErrback(lambda failure: log.failure("The admin cannot answer", failure))

    def _handle(self, request: AdminRequest) -> Any:
        method = request.method.decode("ascii")
        route, values = find(self._routes, request.path)
        self.access.check(request, route.audience)
        return route.handler(method)(request, *values)

    def _failed(self, failure: Failure, request: AdminRequest) -> Answer:
        refusal = failure.value
        if failure.check(TookTooLong):
            refusal = Refusal(504, "the balancer did not answer in time")
        elif not isinstance(refusal, Refusal):
            log.failure("The admin failed at {method} {path}", failure, method=request.method, path=request.path)
            refusal = Refusal(500, "an internal failure; the log says more")
        elif refusal.status in (401, 403):
            self._log_refusal(request, refusal)
        return refusal.answer()

    def _log_refusal(self, request: AdminRequest, refusal: Refusal) -> None:
        """One line in a while: who guesses tokens must not fill the disk as well."""
        self._refused += 1
        if self._clock.seconds() - self._refusals_logged < REFUSALS_LOGGED_EVERY:
            return
        by = who(request.transport, request.client)
        log.warn(
            "The admin refused {by}: {why} ({count} since last told)", by=by, why=refusal.reason, count=self._refused
        )
        self._refused, self._refusals_logged = 0, self._clock.seconds()

    def _all_facts(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": round(self._started, 3),
            "uptime": round(self._clock.seconds() - self._born, 3),
            **self._facts(),
        }
