"""Plugins of its own for the tests of the configuration, so that they do not depend on which others exist."""

from __future__ import annotations

import textwrap
from typing import Any, Literal

from attrs import field, frozen, validators
from zope.interface import implementer

from txlb.config import Validator, parse
from txlb.errors import ConfigError
from txlb.interfaces import IHealthCheck, IStrategy
from txlb.plugin import HealthCheckMaker, StrategyMaker
from txlb.registry import Registry, health_checks, strategies
from txlb.specs import Config
from txlb.units import Seconds

_TEN = Seconds(10.0)


@implementer(IStrategy)
class Plain:
    """A strategy without options."""

    def rebuild(self, backends: tuple[Any, ...]) -> None:
        """Keeps nothing."""

    def pick(self, client: Any, exclude: Any = ()) -> None:
        """Nobody."""


@frozen
class Timed(Plain):
    """A strategy with options of several types."""

    measure: Literal["connect", "first-byte"] = "connect"
    decay: Seconds = _TEN
    size: int = field(default=5, validator=validators.ge(1))
    zones: tuple[str, ...] = ()


@frozen
class Explosive(Plain):
    """A strategy whose construction raises what nobody expects."""

    fuse: int = 1

    def __attrs_post_init__(self) -> None:
        raise RuntimeError("bang")


class Stranger:
    """A class that is no strategy."""


@implementer(IHealthCheck)
@frozen
class Tcp:
    """A check without options."""

    def probe(self, connect: str) -> None:
        """Never asked."""


@frozen
class Web(Tcp):
    """A check with a needed option and another."""

    path: str
    expect: int = 200


def _strategy(name: str, factory: str) -> StrategyMaker:
    return StrategyMaker(name, f"tests.config.fakes:{factory}", "")


def fake_strategies() -> Registry:
    """Strategies good and bad."""
    return strategies(
        makers=[
            _strategy("round-robin", "Plain"),
            _strategy("timed", "Timed"),
            _strategy("explosive", "Explosive"),
            _strategy("stranger", "Stranger"),
            _strategy("gone", "NoSuchClass"),
            _strategy("twin", "Plain"),
            _strategy("twin", "Timed"),
        ]
    )


def fake_checks() -> Registry:
    """Two health checks."""
    return health_checks(
        makers=[
            HealthCheckMaker("tcp", "tests.config.fakes:Tcp", ""),
            HealthCheckMaker("web", "tests.config.fakes:Web", ""),
        ]
    )


def read(text: str | bytes, *validators: Validator) -> Config:
    """Parse with the plugins of this module; text may be indented as a whole."""
    if isinstance(text, str):
        text = textwrap.dedent(text)
    return parse(text, validators=validators, strategies=fake_strategies(), health_checks=fake_checks())


def problems(text: str | bytes, *validators: Validator) -> list[str]:
    """What is wrong with it, a line each; empty when nothing is."""
    try:
        read(text, *validators)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def options_of(config: Config) -> dict[str, Any]:
    """The options of the first strategy of the pool `p`."""
    return dict(config.pools["p"].strategy[0].options)


LISTENER = "listeners: {web: {listen: tcp:8080, pool: p}}\n"
"""A line that makes a file of a pool `p` complete."""

POOL = 'pools: {p: {backends: ["tcp:127.0.0.1:9001"]}}\n'
"""A line that makes a file of a listener that feeds `p` complete."""
