"""`txlb strategies`: what is installed, with the options of each. Broken plugins are listed with what is wrong."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import frozen

from txlb import registry
from txlb.errors import BrokenPlugin
from txlb.options import Option, describe

HELP = "list the strategies that are installed, with their options"


@frozen
class Row:
    """One plugin line. `problem` says why it cannot be used."""

    name: str
    help: str
    factory: str
    options: tuple[Option, ...] = ()
    problem: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(options: argparse.Namespace) -> int:
    """Print a table on a terminal, and plain columns into a pipe. Broken plugins are no reason to fail."""
    found = rows(registry.strategies())
    if sys.stdout.isatty():
        _print_table(found)
    else:
        print("\n".join(columns(found)))
    return 0


def rows(strategies: registry.Registry) -> list[Row]:
    """All plugins by name, those of one name next to each other."""
    times = Counter(maker.name for maker in strategies.makers)
    makers = sorted(strategies.makers, key=lambda maker: (maker.name, maker.factory))
    return [_row(strategies, maker, times[maker.name]) for maker in makers]


def columns(found: Iterable[Row]) -> list[str]:
    """A line for each strategy, and below it an indented one for each option."""
    found = list(found)
    width = max((len(row.name) for row in found), default=0)
    lines = []
    for row in found:
        lines.append(f"{row.name:<{width}}  {_summary(row)}")
        lines += [f"{'':<{width}}    {option.name}: {_about(option)}" for option in row.options]
    return lines


def _row(strategies: registry.Registry, maker: Any, times: int) -> Row:
    if times > 1:
        problem = f"duplicate: {times} plugins have this name, so it cannot be used"
        return Row(maker.name, maker.help, maker.factory, problem=problem)
    try:
        options = tuple(describe(strategies.load(maker.name)))
    except BrokenPlugin as error:
        return Row(maker.name, maker.help, maker.factory, problem=f"broken: {error}")
    return Row(maker.name, maker.help, maker.factory, options)


def _summary(row: Row) -> str:
    return f"{row.help} [{row.factory}] !! {row.problem}" if row.problem else row.help


def _about(option: Option) -> str:
    default = "required" if option.default is None else f"default {option.default}"
    return f"{option.type} ({default})" + (f"  {option.help}" if option.help else "")


def _print_table(found: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("strategy", "what it does", "options", show_lines=True)
    for row in found:
        what = Text(row.help)
        if row.problem:
            what.append(f"\n{row.factory}\n{row.problem}", style="bold red")
        about = Text()
        for option in row.options:
            about.append("\n" if about else "")
            about.append(option.name, style="bold").append(f": {_about(option)}")
        table.add_row(Text(row.name, style="red" if row.problem else "bold"), what, about)
    Console().print(table)
