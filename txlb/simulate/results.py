"""What a simulation showed, in figures.

`unfairness` is the share of connections that would have to go elsewhere for every server to have its share by weight: 0 is
exact. `starvation` is the longest row of arrivals that passed a server by, as a multiple of how far apart its own
arrivals would be at its share: 1 is perfect rotation, random draws over n servers come near the logarithm of the
arrivals. `concurrency` counts connections that wait or are served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import asdict, frozen

from txlb.simulate.server import Server
from txlb.simulate.simulation import Sample, Simulation


@frozen
class Response:
    """Seconds from the arrival to the end of the service."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@frozen
class BackendResult:
    """One server. `share` is of all connections, `fair` what its weight would give it."""

    name: str
    weight: int
    connections: int
    share: float
    fair: float
    refused: int
    concurrency_mean: float
    concurrency_max: int
    response: Response
    starvation: float


@frozen
class ChangeResult:
    """Of the clients seen before and after it: the share that went elsewhere, and that which had to."""

    at: float
    name: str
    joins: bool
    clients: int
    moved: float
    had_to: float


@frozen
class Result:
    """One strategy. `moved` is the share of returning clients that met another server than the time before;
    `quantiles` are (share of connections, seconds) for a picture."""

    strategy: str
    arrivals: int
    served: int
    rejected: int
    refused: int
    duration: float
    response: Response
    quantiles: tuple[tuple[float, float], ...]
    unfairness: float
    starvation: float
    concurrency_max: int
    moved: float
    changes: tuple[ChangeResult, ...]
    backends: tuple[BackendResult, ...]
    timeline: tuple[Sample, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


QUANTILES = (0.5, 0.95, 0.99)
CURVE = (*(n / 20 for n in range(1, 19)), 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999)


def summarize(label: str, simulation: Simulation) -> Result:
    """The figures of a simulation that has run."""
    servers = [simulation.servers[name] for name in sorted(simulation.servers)]
    arrivals = len(simulation.plan.workload.times)
    served = sum(server.count for server in servers)
    entitled = sum(server.weight * server.offered_for for server in servers)
    span, horizon = simulation.duration, simulation.plan.workload.duration
    ordered = simulation.responses()
    backends = tuple(_backend(server, served, entitled, horizon, span) for server in servers)
    return Result(
        strategy=label,
        arrivals=arrivals,
        served=served,
        rejected=simulation.rejected,
        refused=sum(server.refused for server in servers),
        duration=_rounded(span),
        response=response_of(ordered),
        quantiles=tuple((q, _rounded(quantile(ordered, q))) for q in CURVE) if ordered else (),
        unfairness=_rounded(sum(abs(b.share - b.fair) for b in backends) / 2),
        starvation=max((b.starvation for b in backends), default=0.0),
        concurrency_max=max((b.concurrency_max for b in backends), default=0),
        moved=_ratio(simulation.elsewhere, simulation.repeats),
        changes=tuple(
            ChangeResult(
                e.change.at,
                e.change.name,
                e.change.joins,
                e.clients,
                _ratio(e.moved, e.clients),
                _ratio(e.had_to, e.clients),
            )
            for e in simulation.epochs
        ),
        backends=backends,
        timeline=tuple(Sample(_rounded(s.at), s.least, _rounded(s.mean), s.most) for s in simulation.samples),
    )


def response_of(ordered: Sequence[float]) -> Response:
    """From response times in ascending order; zeros where there are none."""
    if not ordered:
        return Response(0.0, 0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = (_rounded(quantile(ordered, q)) for q in QUANTILES)
    return Response(_rounded(sum(ordered) / len(ordered)), p50, p95, p99, _rounded(ordered[-1]))


def quantile(ordered: Sequence[float], q: float) -> float:
    """The nearest rank."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def _backend(server: Server, served: int, entitled: float, horizon: float, span: float) -> BackendResult:
    fair = server.weight * server.offered_for / entitled if entitled else 0.0
    ordered = sorted(server.responses)
    return BackendResult(
        name=server.name,
        weight=server.weight,
        connections=server.count,
        share=_ratio(server.count, served),
        fair=_rounded(fair),
        refused=server.refused,
        concurrency_mean=_rounded(sum(ordered) / span) if span else 0.0,
        concurrency_max=server.peak,
        response=response_of(ordered),
        starvation=_rounded(server.gap * fair * horizon / server.offered_for) if server.offered_for else 0.0,
    )


def _ratio(part: int, whole: int) -> float:
    return _rounded(part / whole) if whole else 0.0


def _rounded(number: float) -> float:
    """Six significant digits: more would be noise."""
    return float(f"{number:.6g}")
