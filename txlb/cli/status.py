"""`txlb status`: what the running balancer does, as a table; `--watch` keeps it live."""

from __future__ import annotations

import argparse
import json
import time

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from txlb.cli import _admin_options
from txlb.cli._admin_client import NoAnswer, Refused, Target
from txlb.cli._status_table import render

HELP = "show the state of the running balancer"
EVERY = 1.0
STATE_TIME = 25.0
PIPED_WIDTH = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Once or live, for people or for programs."""
    parser.add_argument("--watch", action="store_true", help="keep it live, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print the state as JSON")
    _admin_options.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Show it."""

    def command(target: Target) -> int:
        state = target.request("GET", "/api/v1/state", timeout=STATE_TIME)
        if options.json:
            print(json.dumps(state, indent=1))
            return 0
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = PIPED_WIDTH
        if options.watch:
            _watch(target, console)
        console.print(render(state))
        return 0

    return _admin_options.speak(options, command)


def _watch(target: Target, console: Console) -> None:
    """Until Ctrl-C. A balancer that is away for a moment, for a restart, is waited for."""
    if not console.is_terminal:
        while True:
            console.print(_now(target))
            time.sleep(EVERY)
    with Live(_now(target), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY)
            live.update(_now(target), refresh=True)


def _now(target: Target) -> RenderableType:
    try:
        return render(target.request("GET", "/api/v1/state", timeout=STATE_TIME))
    except Refused:
        raise
    except NoAnswer as reason:
        return Text(f"the admin at {target.shown} {reason}", "red")
