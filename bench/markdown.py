"""The results as Markdown tables, for docs/benchmarks.md, so that nobody copies figures by hand."""

from __future__ import annotations

from collections.abc import Iterator

from bench.results import Key, Results
from bench.table import NONE, number

RATIOS = ("haproxy", "portforward")


def render(results: Results) -> str:
    """Where and when it ran, then a table of all figures by peer, then one of strategies."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items() if value != "no proxy")
    rounds = results.options.get("rounds")
    lines = [f"{results.when}: {machine}. {versions}. {rounds} rounds.", "", *_figures(results), *_strategies(results)]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(results: Results) -> Iterator[str]:
    figures = [figure for figure in results.metrics if figure[0] != "pick"]
    found = {peer for figure in figures for peer in results.peers(*figure)}
    peers = [peer for peer in results.versions if peer in found]
    if not peers:
        return
    yield _row(["", "unit", *peers])
    yield _row(["---"] * 2 + ["---:"] * len(peers))
    for figure in figures:
        words = results.metrics[figure]
        for point in results.points(*figure):
            name = words.title if point is None else f"{words.title}: {point:,}"
            yield _row([name, words.unit, *[_cell(results, Key(*figure, point, peer)) for peer in peers]])
    yield ""
    yield "In parentheses: how many times HAProxy's, and how many times portforward's."


def _cell(results: Results, key: Key) -> str:
    summary = results.summary(key)
    if summary is None:
        return NONE
    shown = f"{number(summary.middle)} ±{summary.spread:.0%}"
    ratios = [results.ratio(key, base) for base in RATIOS]
    if not key.peer.startswith("txlb") or not any(ratios):
        return shown
    return f"{shown} ({', '.join(NONE if ratio is None else f'{ratio:.2f}' for ratio in ratios)})"


def _strategies(results: Results) -> Iterator[str]:
    figures = [figure for figure in results.metrics if figure[0] == "pick"]
    if not figures:
        return
    points = results.points(*figures[0])
    heads = [f"{results.metrics[figure].title}, {point:,}" for figure in figures for point in points]
    yield ""
    yield _row(["strategy, ns", *heads])
    yield _row(["---", *["---:"] * len(heads)])
    for name in results.peers(*figures[0]):
        values = [results.summary(Key(*figure, point, name)) for figure in figures for point in points]
        yield _row([name, *[number(value.middle) if value else NONE for value in values]])
