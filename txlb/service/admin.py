"""The admin's port: bound, moved and closed as the configuration says, in step with a reload.

A reload binds first, which may fail and then changes nothing, and hands over when the rest of it has been applied. A drain leaves
the admin alone, so that `/ready` can say so to the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from txlb.config.endpoint_forms import SERVER
from txlb.config.endpoints import parse_endpoint
from txlb.service.adopting import Given
from txlb.service.ports import Plain, Ports
from txlb.specs import AdminSpec

if TYPE_CHECKING:
    from txlb.admin.access import Access
    from txlb.admin.server import Admin

log = Logger()


class AdminPort:
    """`make()` makes the Admin, once and only where one is configured: it imports what a balancer without has no use for."""

    def __init__(self, reactor: Any, make: Callable[[], Admin], given: Given | None = None) -> None:
        self._ports = Ports(reactor, given=given if given is not None else {})
        self._make = make
        self._admin: Admin | None = None
        self._access: Access | None = None
        self._serving = ""

    @inlineCallbacks
    def bind(self, spec: AdminSpec | None) -> Any:
        """Bind what is wanted, and read the token. Fails with PortUnavailable or TxlbError, having changed nothing."""
        if spec is None:
            return
        from txlb.admin.access import Access

        access = Access.of(spec)
        yield self._ports.bind([private(spec.listen)])
        self._access = access

    def listen_in(self) -> None:
        """Hear of events from now on, where an admin is configured, so that those of the start are remembered."""
        if self._access is not None and self._admin is None:
            self._admin = self._make()

    @inlineCallbacks
    def become(self, spec: AdminSpec | None) -> Any:
        """Serve there, under its rules, and nowhere else. Fires when what was served before is closed."""
        wanted = "" if spec is None else private(spec.listen)
        if self._admin is not None and self._serving not in ("", wanted):
            self._admin.retire()
        if wanted:
            self._admin = self._admin or self._make()
            assert self._access is not None
            self._admin.admit(self._access)
            bound = self._ports.bound[wanted]
            bound.hand_to(self._admin, self._admin.factory, Plain)
            if wanted != self._serving:
                log.info("admin: listening on {listen}", listen=wanted)
        self._serving = wanted
        yield self._close_all_but(wanted)

    @inlineCallbacks
    def discard(self) -> Any:
        """Unbind what was bound for a reload that failed."""
        yield self._close_all_but(self._serving)

    def addresses(self) -> list[IAddress]:
        """Where it is bound."""
        return [bound.port.getHost() for bound in self._ports.bound.values()]

    def sockets(self) -> dict[str, list[int]]:
        """The descriptors of its sockets by endpoint string."""
        return self._ports.sockets()

    def own(self) -> None:
        """The process that bound the port leaves it to this one."""
        self._ports.own()

    def leave(self) -> Deferred[Any]:
        """Another process has the port, and is to be asked from now on. Fires when it is closed here."""
        self._ports.leave()
        if self._admin is not None:
            self._admin.retire()
        self._serving = ""
        return self.discard()

    @inlineCallbacks
    def stop(self) -> Any:
        """The end."""
        if self._admin is not None:
            self._admin.stop()
        self._serving = ""
        yield self._close_all_but("")

    @inlineCallbacks
    def _close_all_but(self, kept: str) -> Any:
        for description in [description for description in self._ports.bound if description != kept]:
            yield self._ports.close(description)


def private(listen: str) -> str:
    """A UNIX socket is for its owner alone unless its mode says otherwise; Twisted's default lets everybody in."""
    endpoint = parse_endpoint(listen, SERVER)
    return f"{listen}:mode=600" if endpoint.kind == "unix" and "mode" not in endpoint.values else listen
