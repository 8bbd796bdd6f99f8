"""The lines by which plugins announce themselves. A package `acme` adds a strategy with one file of one line:

    # twisted/plugins/acme_txlb.py
    from txlb.plugin import StrategyMaker
    fastest = StrategyMaker("acme-fastest", "acme.lb:Fastest", "always the fastest one")

The line holds names only, so that listing all plugins imports none of them.
"""

from __future__ import annotations

from importlib import import_module

from attrs import frozen
from twisted.plugin import IPlugin
from zope.interface import implementer

from txlb.errors import BrokenPlugin
from txlb.interfaces import IHealthCheckMaker, IStrategyMaker


@frozen
class _Maker:
    """`factory` is `package.module:Class`; `help` is one line."""

    name: str
    factory: str
    help: str

    def load(self) -> type:
        """Import the class; raises BrokenPlugin with the plugin's name and what went wrong."""
        try:
            module, _, name = self.factory.partition(":")
            loaded = getattr(import_module(module), name)
        except Exception as error:  # whatever a third party's module does when it is imported
            raise BrokenPlugin(
                f"{self.name} ({self.factory}) cannot be loaded: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(loaded, type):
            raise BrokenPlugin(f"{self.name} ({self.factory}) is not a class")
        return loaded


@implementer(IPlugin, IStrategyMaker)
@frozen
class StrategyMaker(_Maker):
    """Announces a class that provides `txlb.interfaces.IStrategy`."""


@implementer(IPlugin, IHealthCheckMaker)
@frozen
class HealthCheckMaker(_Maker):
    """Announces a class that provides `txlb.interfaces.IHealthCheck`."""
