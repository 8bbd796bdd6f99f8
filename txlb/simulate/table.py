"""The results for a person at a terminal: one line a strategy, then each one's backends."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from txlb.simulate.results import BackendResult, Response, Result

MOST_BACKENDS = 16
"""Backends listed for each strategy; of more, the busiest and the idlest half."""

HEADINGS = ("p50", "p95", "p99", "max")


def tables(results: list[Result]) -> Iterable[Table]:
    """The comparison, what changes did to clients where there were any, and the backends of each strategy."""
    yield comparison(results)
    if any(result.changes for result in results):
        yield changes(results)
    for result in results:
        yield backends(result)


def comparison(results: list[Result]) -> Table:
    """One line a strategy."""
    table = _table("Strategies", "strategy", *HEADINGS, "most at once", "unfairness", "starvation", "elsewhere")
    troubled = any(result.rejected or result.refused for result in results)
    if troubled:
        for name in ("refused", "rejected"):
            table.add_column(name, justify="right")
    for result in results:
        cells = [
            result.strategy,
            *times(result.response if result.served else None),
            str(result.concurrency_max),
            percent(result.unfairness),
        ]
        cells += [f"{result.starvation:.1f}", percent(result.moved)]
        table.add_row(*cells, *([str(result.refused), str(result.rejected)] if troubled else []))
    return table


def changes(results: list[Result]) -> Table:
    """Who left and joined, and how many clients went elsewhere, had to or not."""
    table = _table("Clients that went elsewhere after a change", "strategy", "change", "clients", "elsewhere", "had to")
    for result in results:
        for change in result.changes:
            what = f"{change.name} {'joins' if change.joins else 'leaves'} at {change.at:g} s"
            table.add_row(result.strategy, what, str(change.clients), percent(change.moved), percent(change.had_to))
    return table


def backends(result: Result) -> Table:
    """The backends of one strategy."""
    names = ("backend", "weight", "share", "by weight", "mean at once", "most", *HEADINGS, "starvation")
    table = _table(result.strategy, *names)
    shown, left_out = _shown(result.backends)
    for backend in shown:
        if backend is None:
            table.add_row(f"… {left_out} more …")
            continue
        cells = [backend.name, str(backend.weight), percent(backend.share), percent(backend.fair)]
        cells += [f"{backend.concurrency_mean:.2f}", str(backend.concurrency_max)]
        table.add_row(*cells, *times(backend.response if backend.connections else None), f"{backend.starvation:.1f}")
    return table


def times(response: Response | None) -> list[str]:
    """The cells under `HEADINGS`; None: nobody was served, which is not the same as at once."""
    if response is None:
        return ["–"] * len(HEADINGS)
    return [milliseconds(seconds) for seconds in (response.p50, response.p95, response.p99, response.max)]


def milliseconds(seconds: float) -> str:
    """Three digits that matter."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def percent(share: float) -> str:
    """Of one hundred, one digit after the point."""
    return f"{share * 100:.1f} %"


def _shown(results: tuple[BackendResult, ...]) -> tuple[list[BackendResult | None], int]:
    if len(results) <= MOST_BACKENDS:
        return list(results), 0
    ranked = sorted(results, key=lambda backend: (-backend.share, backend.name))
    half = MOST_BACKENDS // 2
    return [*ranked[:half], None, *ranked[-half:]], len(results) - 2 * half


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
