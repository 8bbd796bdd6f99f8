"""The one door through which strategies and health checks are found: the built-in ones and everybody else's alike."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import frozen
from twisted.plugin import getPlugins
from zope.interface import implementedBy
from zope.interface.exceptions import BrokenImplementation, BrokenMethodImplementation, Invalid
from zope.interface.interface import InterfaceClass, Method
from zope.interface.verify import verifyClass

import twisted.plugins
from txlb.errors import BrokenPlugin, OptionError, UnknownPlugin
from txlb.interfaces import IHealthCheck, IHealthCheckMaker, IStrategy, IStrategyMaker
from txlb.options import build, check


@frozen
class Registry:
    """The plugins of one kind. `makers` may hold several of one name; asking for that name is then an error."""

    kind: str
    provides: InterfaceClass
    makers: tuple[Any, ...]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({maker.name for maker in self.makers})

    def maker(self, name: str) -> Any:
        """The plugin line of that name; raises UnknownPlugin or, where two have it, BrokenPlugin."""
        found = [maker for maker in self.makers if maker.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            raise BrokenPlugin(f"{len(found)} plugins are named {name}: {', '.join(sorted(m.factory for m in found))}")
        near = difflib.get_close_matches(name, self.names(), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownPlugin(f"unknown {self.kind} {name!r}{hint} (installed: {', '.join(self.names())})")

    def load(self, name: str) -> type:
        """The class of that name; raises UnknownPlugin, or BrokenPlugin also when it lacks the interface or its methods."""
        cls = self.maker(name).load()
        if not self.provides.implementedBy(cls):
            raise BrokenPlugin(
                f"{name} ({cls.__module__}.{cls.__qualname__}) does not implement {self.provides.__name__}"
            )
        if missing := "; ".join(_broken_promises(cls)):
            raise BrokenPlugin(f"{name} ({cls.__module__}.{cls.__qualname__}) breaks its promise: {missing}")
        return cls

    def check(self, name: str, options: Mapping[str, Any]) -> list[OptionError]:
        """What is wrong with these options for that plugin; raises as `load` does."""
        return check(self.load(name), options)

    def build(self, name: str, options: Mapping[str, Any], **given: Any) -> Any:
        """A new instance; `given` are the clock, the random source and the like. Raises as `load`, and OptionError."""
        return build(self.load(name), options, **given)


def _broken_promises(cls: type) -> Iterator[str]:
    """What it lacks of those of our interfaces that it says it implements, which would be an exception at each call."""
    for interface in implementedBy(cls):
        if interface.__module__ != IStrategy.__module__:
            continue
        try:
            verifyClass(interface, cls)
        except Invalid as invalid:
            for error in getattr(invalid, "exceptions", (invalid,)):
                if isinstance(error, BrokenMethodImplementation):
                    yield f"{_words(error.method)} of {interface.__name__}: {error.mess}"
                elif isinstance(error, BrokenImplementation):
                    yield f"{_words(error.name)} of {interface.__name__} is missing"
                else:
                    yield " ".join(str(error).split())


def _words(member: Any) -> str:
    """A member of an interface, with the arguments that it is called with."""
    return f"{member.__name__}{member.getSignatureString()}" if isinstance(member, Method) else str(member)


def strategies(makers: Iterable[Any] | None = None) -> Registry:
    """The strategies that are installed, or those of `makers`."""
    return Registry("strategy", IStrategy, _found(IStrategyMaker, makers))


def health_checks(makers: Iterable[Any] | None = None) -> Registry:
    """The health checks that are installed, or those of `makers`."""
    return Registry("health check", IHealthCheck, _found(IHealthCheckMaker, makers))


def _found(interface: InterfaceClass, makers: Iterable[Any] | None) -> tuple[Any, ...]:
    return tuple(getPlugins(interface, twisted.plugins) if makers is None else makers)
