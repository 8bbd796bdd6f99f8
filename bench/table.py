"""The results on a terminal: medians, the spread, and the ratios."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.results import Key, Results

NONE = "-"
OF_STRATEGIES = ("pick", "strategies")


def number(value: float) -> str:
    """Three digits that count: 0.731, 25.6, 139, 2,133."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


def cell(results: Results, key: Key) -> str:
    """`25.6 ±8%`, and how many times HAProxy's and portforward's."""
    summary = results.summary(key)
    if summary is None:
        return NONE
    lines = [f"{number(summary.middle)} ±{summary.spread:.0%}"]
    for base in results.bases():
        found = results.ratio(key, base)
        if found is not None and base != key.peer and key.peer.startswith("txlb"):
            lines.append(f"[dim]{found:.2f} of {base}[/dim]")
    first = results.to_first(key)
    if first is not None and key.scenario.startswith("workers"):
        lines.append(f"[dim]{first:.2f} of one worker's[/dim]")
    return "\n".join(lines)


def tables(results: Results) -> list[Table]:
    """Single figures by peer, figures that grow with something, and strategies, by scenario."""
    single: list[tuple[str, str]] = []
    growing: list[tuple[str, str]] = []
    strategies: list[tuple[str, str]] = []
    for scenario, metric in results.metrics:
        if scenario in OF_STRATEGIES:
            strategies.append((scenario, metric))
        elif results.points(scenario, metric) == [None]:
            single.append((scenario, metric))
        else:
            growing.append((scenario, metric))
    return [
        made
        for made in (
            _by_peer(results, "The proxy's own cost", single),
            _by_peer(results, "As it grows", growing),
            *[_strategies(results, [one for one in strategies if one[0] == name]) for name in OF_STRATEGIES],
        )
        if made.row_count
    ]


def _by_peer(results: Results, title: str, figures: list[tuple[str, str]]) -> Table:
    found = {peer for figure in figures for peer in results.peers(*figure)}
    peers = [peer for peer in results.versions if peer in found]
    table = Table("", "unit", *peers, title=title, title_justify="left", show_lines=True)
    for scenario, metric in figures:
        words = results.metrics[scenario, metric]
        for point in results.points(scenario, metric):
            name = words.title if point is None else f"{words.title}: {point:,}"
            cells = [cell(results, Key(scenario, metric, point, peer)) for peer in peers]
            table.add_row(name, words.unit, *cells)
    return table


def _strategies(results: Results, figures: list[tuple[str, str]]) -> Table:
    points = results.points(*figures[0]) if figures else []
    words = [results.metrics[figure] for figure in figures]
    heads = [f"{word.title} {point:,}, {word.unit}" for word in words for point in points]
    title = "Strategies: a pick; a pick with the load counted up and down (cycle)"
    table = Table("strategy", *heads, title=title, title_justify="left")
    for name in results.peers(*figures[0]) if figures else []:
        values = [results.summary(Key(*figure, point, name)) for figure in figures for point in points]
        table.add_row(name, *[number(value.middle) if value else NONE for value in values])
    return table


def show(results: Results, console: Console) -> None:
    """Print everything: where it ran, the tables, and what failed."""
    console.print("  ".join(f"{name}: {value}" for name, value in results.machine.items()), style="dim")
    console.print("  ".join(f"{name}: {value}" for name, value in results.versions.items()), style="dim")
    for table in tables(results):
        console.print(table)
    for failure in results.failures:
        console.print(f"failed: {failure}", style="bold red", markup=False)
