"""Host names of backends, resolved beside the connections and never for one of them.

`addresses(target)` is what the name was last known to be. Names are asked again every `PERIOD` seconds; an answer that
does not come, or is empty, changes nothing, for a stale address beats none. Only a name that was never resolved makes
somebody wait, and only until the first answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IDelayedCall, IResolutionReceiver
from zope.interface import implementer

from txlb.engines.epoll.targets import Target, literal

PERIOD = 30.0
"""Seconds between two questions for the same name."""

Addresses = tuple[tuple[int, Any], ...]


@define(eq=False)
class Name:
    """What is known of one host and port."""

    target: Target
    addresses: Addresses = ()
    asking: bool = False
    waiting: dict[object, Callable[[Addresses], object]] = field(factory=dict)

    def answered(self, addresses: Addresses) -> None:
        """An answer; an empty one is none."""
        self.asking = False
        self.addresses = addresses or self.addresses
        waiting, self.waiting = self.waiting, {}
        for callback in waiting.values():
            callback(self.addresses)


@define(eq=False)
class Resolver:
    """Keeps the names of a set of targets resolved. `ask(receiver, host, port)` is `resolveHostName` of the reactor."""

    clock: Any
    ask: Callable[[Any, str, int], object]
    _names: dict[Target, Name] = field(factory=dict)
    _timer: IDelayedCall | None = None

    def keep(self, targets: Iterable[Target]) -> None:
        """Resolve these from now on, and forget others."""
        names = {target for target in targets if not target.addresses}
        self._names = {target: self._names.get(target) or Name(target) for target in names}
        for name in self._names.values():
            if not name.addresses:
                self._start(name)
        if self._names and self._timer is None:
            self._timer = self.clock.callLater(PERIOD, self._refresh)
        elif not self._names:
            self._cancel_timer()

    def addresses(self, target: Target) -> Addresses:
        """The addresses known now, the one to try first in front; empty where there is none yet."""
        return target.addresses or self._names[target].addresses

    def wait(self, target: Target, key: object, callback: Callable[[Addresses], object]) -> None:
        """Call `callback(addresses)` at the next answer; empty: the name is unknown. `forget(target, key)` ends that."""
        name = self._names[target]
        name.waiting[key] = callback
        self._start(name)

    def forget(self, target: Target, key: object) -> None:
        """Whoever waits under `key` waits no longer."""
        if target in self._names:
            self._names[target].waiting.pop(key, None)

    def prefer_others(self, target: Target, address: tuple[int, Any]) -> None:
        """This address did not answer: try the others of its name first."""
        name = self._names.get(target)
        if name is not None and address in name.addresses:
            name.addresses = (*(other for other in name.addresses if other != address), address)

    def stop(self) -> None:
        """Forget all."""
        self._names = {}
        self._cancel_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refresh(self) -> None:
        self._timer = self.clock.callLater(PERIOD, self._refresh)
        for name in self._names.values():
            self._start(name)

    def _start(self, name: Name) -> None:
        if not name.asking:
            name.asking = True
            self.ask(Receiver(name), name.target.host, name.target.port)


@implementer(IResolutionReceiver)
@define(eq=False)
class Receiver:
    """Collects one answer."""

    name: Name
    _found: list[tuple[int, Any]] = field(factory=list)

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        """Nothing is known yet."""

    def addressResolved(self, address: Any) -> None:
        """One address of the name."""
        if isinstance(address, IPv4Address | IPv6Address):
            self._found += literal(address.host, self.name.target.port)

    def resolutionComplete(self) -> None:
        """That was all. Those that were known keep their order, so that one that does not answer stays behind."""
        found = dict.fromkeys(self._found)
        known = [address for address in self.name.addresses if address in found]
        self.name.answered(tuple(dict.fromkeys([*known, *found])))
