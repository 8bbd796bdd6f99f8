"""The handlers: what each path of the admin does with the balancer's `IControl`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from txlb.admin import reading
from txlb.admin.access import Audience, who
from txlb.admin.answers import Answer, Refusal, answer
from txlb.admin.pages import Page
from txlb.admin.routes import Route
from txlb.admin.state import encode
from txlb.admin.streams import Streams, Wanted
from txlb.errors import ConfigError, TxlbError
from txlb.interfaces import IControl

log = Logger()

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BACKEND = "/api/v1/pools/{}/backends/{}"
MOST_RECENT = 200

Render = Callable[[], Any]
"""Returns the metrics in Prometheus' text format: bytes, or a Deferred of them."""


@frozen
class Api:
    """`reactor` only parses endpoint strings. `facts()` are what the state says of the process beside pools and listeners."""

    control: IControl
    reactor: Any
    clock: IReactorTime
    streams: Streams
    facts: Callable[[], dict[str, Any]]
    metrics: Render | None
    pages: dict[str, Page]

    def routes(self) -> tuple[Route, ...]:
        """All there is."""
        routes = [
            Route("/health", Audience.PROBES, {"GET": self.health}),
            Route("/ready", Audience.PROBES, {"GET": self.ready}),
            Route("/api/v1/state", Audience.OPERATORS, {"GET": self.state}),
            Route("/api/v1/events", Audience.OPERATORS, {"GET": self.events}),
            Route("/api/v1/reload", Audience.OPERATORS, {"POST": self.reload}),
            Route("/api/v1/pools/{}/explain", Audience.OPERATORS, {"GET": self.explain}),
            Route(BACKEND, Audience.OPERATORS, {"POST": self.change, "PUT": self.add, "DELETE": self.remove}),
        ]
        if self.metrics is not None:
            routes.append(Route("/metrics", Audience.SCRAPERS, {"GET": self.scrape}))
        routes += [Route(f"/{name}", Audience.BROWSERS, {"GET": _shows(page)}) for name, page in self.pages.items()]
        return tuple(routes)

    def health(self, request: Any) -> Answer:
        """It is alive: it answers."""
        return answer({"alive": True})

    def ready(self, request: Any) -> Answer:
        """Whether to send clients here."""
        if self.control.ready():
            return answer({"ready": True})
        why = "draining" if self.control.draining() else "a listener's pool has no backend to offer"
        return answer({"ready": False, "reason": why}, 503)

    @inlineCallbacks
    def scrape(self, request: Any) -> Any:
        """Prometheus' text format."""
        assert self.metrics is not None
        body = yield maybeDeferred(self.metrics)
        return Answer(body, METRICS_TYPE)

    @inlineCallbacks
    def state(self, request: Any) -> Any:
        """All there is to see."""
        reading.query(request, ())
        body = yield self.encoded_state()
        return Answer(body + b"\n")

    @inlineCallbacks
    def encoded_state(self) -> Any:
        """The state in JSON, on one line."""
        found = yield self.control.state()
        facts = {"draining": self.control.draining(), "ready": self.control.ready(), **self.facts()}
        body = yield encode({**facts, **found}, self.clock)
        return body

    def events(self, request: Any) -> None:
        """A stream of them."""
        values = reading.query(request, ("state", "connections", "recent"))
        recent = values.get("recent", "0")
        if not recent.isascii() or not recent.isdigit() or len(recent) > 3 or int(recent) > MOST_RECENT:
            raise Refusal(400, f"recent: must be a whole number from 0 to {MOST_RECENT}")
        wanted = Wanted(
            state=reading.choice(values, "state", True),
            connections=reading.choice(values, "connections", False),
            last_id=request.getHeader("last-event-id") or "",
            recent=int(recent),
        )
        self.streams.open(request, wanted)

    @inlineCallbacks
    def explain(self, request: Any, pool: str) -> Any:
        """Which backend a client gets, and why."""
        client = reading.query(request, ("client",)).get("client", "")
        try:
            address = str(ipaddress.ip_address(client))
        except ValueError:
            raise Refusal(400, "client: must be an IP address") from None
        found = yield _asked(self.control.explain(pool, address))
        return answer(found)

    @inlineCallbacks
    def change(self, request: Any, pool: str, name: str) -> Any:
        """Admin state, weight or both."""
        wanted = reading.change(reading.json_body(request))
        by = who(request.transport, request.client)
        old = yield self._backend(pool, name)
        if wanted.admin is not None:
            yield _asked(self.control.set_admin(pool, name, wanted.admin, by))
            _audit(by, pool, name, "admin", old["admin"], wanted.admin)
        if wanted.weight is not None:
            yield _asked(self.control.set_weight(pool, name, wanted.weight, by))
            _audit(by, pool, name, "weight", old["weight"], wanted.weight)
        found = yield self._backend(pool, name)
        return answer({"pool": pool, "backend": name, **found})

    @inlineCallbacks
    def add(self, request: Any, pool: str, name: str) -> Any:
        """One more backend."""
        spec = reading.backend(name, reading.json_body(request), self.reactor)
        by = who(request.transport, request.client)
        state = yield self.control.state()
        if name in _pool(state, pool)["backends"]:
            raise Refusal(409, f"pool {pool} has a backend {name} already")
        yield _asked(self.control.add(pool, spec, by))
        _audit(by, pool, name, "backend", "none", f"{spec.connect} of weight {spec.weight}")
        found = yield self._backend(pool, name)
        return answer({"pool": pool, "backend": name, **found}, 201)

    @inlineCallbacks
    def remove(self, request: Any, pool: str, name: str) -> Any:
        """One backend less."""
        reading.json_body(request, empty=True)
        by = who(request.transport, request.client)
        old = yield self._backend(pool, name)
        yield _asked(self.control.remove(pool, name, by))
        _audit(by, pool, name, "backend", f"{old['connect']} of weight {old['weight']}", "none")
        return answer({"pool": pool, "backend": name, "removed": True})

    @inlineCallbacks
    def reload(self, request: Any) -> Any:
        """Read the configuration again."""
        if reading.json_body(request, empty=True):
            raise Refusal(400, "a reload takes no values")
        if self.control.draining():
            raise Refusal(409, "draining: what is configured does not matter any more")
        by = who(request.transport, request.client)
        log.info("Audit: {by} reloads the configuration", by=by)
        try:
            yield self.control.reload(by)
        except ConfigError as error:
            problems = [str(problem) for problem in error.problems]
            raise Refusal(422, "not reloaded: the configuration is wrong", problems=problems) from None
        except TxlbError as error:
            raise Refusal(409, f"not reloaded: {error}") from None
        return answer({"reloaded": True})

    @inlineCallbacks
    def _backend(self, pool: str, name: str) -> Any:
        state = yield self.control.state()
        backends = _pool(state, pool)["backends"]
        if name not in backends:
            raise Refusal(404, f"pool {pool} has no backend {name}")
        return backends[name]


def _shows(page: Page) -> Callable[[Any], Answer]:
    return lambda request: page.answer(request.getHeader("if-none-match"))


def _pool(state: dict[str, Any], pool: str) -> Any:
    if pool not in state["pools"]:
        raise Refusal(404, f"no pool is named {pool}")
    return state["pools"][pool]


def _asked(asked: Deferred[Any]) -> Deferred[Any]:
    """What the balancer refuses is the client's mistake."""

    def refused(failure: Any) -> Any:
        if failure.check(KeyError):
            raise Refusal(404, str(failure.value.args[0]))
        if failure.check(ValueError):
            raise Refusal(400, str(failure.value))
        return failure

    return asked.addErrback(refused)


def _audit(by: str, pool: str, name: str, what: str, old: object, new: object) -> None:
    log.info(
        "Audit: {by} changed {pool}/{name}: {what} {old} -> {new}",
        by=by, pool=pool, name=name, what=what, old=old, new=new,
    )  # fmt: skip
