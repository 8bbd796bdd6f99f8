"""How long a backend takes for a connection, and how it misbehaves.

    constant:20ms        exponential:20ms        lognormal:20ms:1.0 (mean, sigma)
    slow:5               five times the time that the others take
    failing:0.3          refuses that share of its connections

Times are quantiles: each arrival brings a number between 0 and 1, so that every strategy meets the same work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from attrs import evolve, frozen

from txlb.errors import OptionError
from txlb.units import parse_duration

Quantile = Callable[[float], float]
_OPTION = "--service"


@frozen
class Service:
    """`mean` is the mean of `quantile` in seconds; `slow` multiplies it; `failing` is a share from 0 to 1."""

    mean: float
    quantile: Quantile
    slow: float = 1.0
    failing: float = 0.0


def constant(mean: float) -> Service:
    """Always the same."""
    return Service(mean, lambda u: mean)


def exponential(mean: float) -> Service:
    """Many short, few long, no memory."""
    return Service(mean, lambda u: -mean * math.log1p(-u))


def lognormal(mean: float, sigma: float = 1.0) -> Service:
    """A heavy tail; the larger `sigma`, the heavier."""
    mu, inverse = math.log(mean) - sigma * sigma / 2, NormalDist().inv_cdf
    return Service(mean, lambda u: math.exp(mu + sigma * inverse(u or 5e-324)))


DEFAULT = exponential(0.02)


def parse_services(written: list[str]) -> tuple[Service, dict[str, Service]]:
    """`[NAME=]MODEL` each: the one for all, and those for some by name. Raises OptionError."""
    base = DEFAULT
    named: list[tuple[str, str]] = []
    for text in written:
        name, _, model = text.rpartition("=")
        if name:
            named.append((name, model))
        else:
            base = _parse(model, base)
    services: dict[str, Service] = {}
    for name, model in named:
        services[name] = _parse(model, services.get(name, base))
    return base, services


def _parse(text: str, before: Service) -> Service:
    kind, *arguments = text.split(":")
    known = {"constant": _constant, "exponential": _exponential, "lognormal": _lognormal, "slow": _slow}
    known["failing"] = _failing
    if kind not in known:
        raise OptionError(_OPTION, f"unknown model {kind!r} in {text!r}; known: {', '.join(known)}")
    try:
        return known[kind](before, *arguments)
    except (ValueError, TypeError, OverflowError) as error:
        why = str(error) if isinstance(error, ValueError) else "wrong number of values"
        raise OptionError(_OPTION, f"{text!r}: {why}") from None


def _mean(text: str) -> float:
    mean = parse_duration(text)
    if not mean:
        raise ValueError("the mean must be more than 0")
    return mean


def _number(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None
    if not least <= number <= most:
        raise ValueError(f"must be from {least:g} to {most:g}, not {text}")
    return number


def _kept(service: Service, before: Service) -> Service:
    return evolve(service, slow=before.slow, failing=before.failing)


def _constant(before: Service, mean: str) -> Service:
    return _kept(constant(_mean(mean)), before)


def _exponential(before: Service, mean: str) -> Service:
    return _kept(exponential(_mean(mean)), before)


def _lognormal(before: Service, mean: str, sigma: str = "1") -> Service:
    return _kept(lognormal(_mean(mean), _number(sigma, 0.0, 5.0)), before)


def _slow(before: Service, factor: str) -> Service:
    return evolve(before, slow=_number(factor, 0.001, 1e6))


def _failing(before: Service, share: str) -> Service:
    return evolve(before, failing=_number(share, 0.0, 1.0))
