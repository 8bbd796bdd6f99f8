"""The results as Markdown tables, for docs/benchmarks.md, so that nobody copies figures by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.results import Key, Results
from bench.table import NONE, OF_STRATEGIES, number

RATIOS = ("haproxy", "portforward")
BEGIN, END = "<!-- figures: written by python -m bench --markdown -->", "<!-- end of figures -->"


def write(results: Results, path: Path) -> None:
    """Write them into the page between its marks; a file that is not there, or has no marks, holds nothing else."""
    text = path.read_text() if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    rendered = render(results)
    path.write_text(f"{before}{BEGIN}\n\n{rendered}\n{END}{after}" if begin and end else rendered)


def render(results: Results) -> str:
    """Where and when it ran, then a table of all figures by peer, then one of strategies."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    versions = ", ".join(f"{name} {value}" for name, value in results.versions.items() if value != "no proxy")
    rounds = results.options.get("rounds")
    words = f"{results.when}: {machine}. {versions}. {rounds} rounds."
    tables = [_figures(results), *[_strategies(results, name) for name in OF_STRATEGIES]]
    lines = [words, "", *[line for table in tables for line in table]]
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(results: Results) -> Iterator[str]:
    figures = [figure for figure in results.metrics if figure[0] not in OF_STRATEGIES]
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
    yield "In parentheses: how many times HAProxy's, and how many times portforward's; after ×, how many times one worker's."


def _cell(results: Results, key: Key) -> str:
    summary = results.summary(key)
    if summary is None:
        return NONE
    shown = f"{number(summary.middle)} ±{summary.spread:.0%}"
    first = results.to_first(key) if key.scenario.startswith("workers") else None
    shown += "" if first is None else f" ×{first:.2f}"
    ratios = [results.ratio(key, base) for base in RATIOS]
    if not key.peer.startswith("txlb") or not any(ratios):
        return shown
    return f"{shown} ({', '.join(NONE if ratio is None else f'{ratio:.2f}' for ratio in ratios)})"


def _strategies(results: Results, scenario: str) -> Iterator[str]:
    figures = [figure for figure in results.metrics if figure[0] == scenario]
    if not figures:
        return
    points = results.points(*figures[0])
    words = [results.metrics[figure] for figure in figures]
    units = {word.unit for word in words}
    unit = f", {units.pop()}" if len(units) == 1 else ""
    heads = [f"{word.title}, {point:,}" + ("" if unit else f", {word.unit}") for word in words for point in points]
    yield ""
    yield _row([f"strategy{unit}", *heads])
    yield _row(["---", *["---:"] * len(heads)])
    for name in results.peers(*figures[0]):
        values = [results.summary(Key(*figure, point, name)) for figure in figures for point in points]
        yield _row([name, *[number(value.middle) if value else NONE for value in values]])
