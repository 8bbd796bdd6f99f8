"""The command: `python -m bench --help`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from bench import markdown, peers, plots, scenarios
from bench.peers import Peer
from bench.peers.txlb import variant
from bench.process import BenchError, end_by_exception
from bench.results import Results
from bench.runner import Order, run, to_stderr
from bench.table import show

RESULTS = Path(__file__).parent / "results"


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("python -m bench", description="Compare txlb with other proxies on this machine.")
    made.add_argument("--quick", action="store_true", help="smaller, under 90 seconds; for a first look")
    made.add_argument(
        "--scenarios", metavar="A,B", default="", help=f"of {', '.join(scenarios.names())}; workers: all of those"
    )
    made.add_argument("--peers", metavar="A,B", default="", help=f"of {', '.join(peers.names())}")
    made.add_argument("--rounds", type=int, help="default: 5, and 1 with --quick")
    made.add_argument("--strategy", choices=["round-robin", "least-connections"], default="round-robin")
    made.add_argument("--against", metavar="FILE", type=Path, action="append", default=[],
                      help="run each txlb also with this YAML added, such as bench/peers/observed.yaml")  # fmt: skip
    made.add_argument("--json", metavar="FILE", type=Path, help="default: bench/results/TIME.json")
    made.add_argument("--plots", metavar="DIR", type=Path, help="write SVG plots there")
    made.add_argument(
        "--markdown",
        metavar="FILE",
        type=Path,
        help="write the tables there, into a page between its marks where it has them",
    )
    made.add_argument("--show", metavar="FILE", type=Path, action="append", default=[],
                      help="run nothing: show, and plot, an earlier run's JSON; further ones replace its scenarios")  # fmt: skip
    return made


def order(options: argparse.Namespace) -> Order:
    """What the options ask for; KeyError for an unknown name."""
    chosen = [peers.peer(name) for name in options.peers.split(",") if name] or [
        peers.peer(name) for name in peers.names()
    ]
    variants: list[Peer] = []
    for peer in chosen:
        if peer.name.startswith("txlb-"):
            variants += [variant(peer, file) for file in options.against]
    named = [name for name in options.scenarios.split(",") if name]
    wanted = [one for name in named or scenarios.names() for one in scenarios.chosen(name)]
    return Order(
        tuple(one for one in wanted if named or (not one.named and (one.quick or not options.quick))),
        (*chosen, *variants),
        options.rounds or (1 if options.quick else 5),
        scenarios.QUICK if options.quick else scenarios.Size(),
        options.strategy,
    )


def main(argv: list[str] | None = None) -> int:
    """0 when every run was right, 1 when one failed, 2 for wrong options."""
    made = parser()
    options = made.parse_args(argv)
    try:
        wanted = order(options)
    except KeyError as error:
        made.error(f"unknown name {error}")
    if options.show:
        results, *again = [Results.from_json(path.read_text()) for path in options.show]
        for other in again:
            results.replace(other)
        if options.json:
            results.write(options.json)
    else:
        end_by_exception()
        words = {"quick": options.quick, "rounds": wanted.rounds, "strategy": options.strategy}
        try:
            results = run(wanted, words, to_stderr)
        except BenchError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        to_stderr("")
        results.write(options.json or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json")
    if options.markdown:
        markdown.write(results, options.markdown)
    show(results, Console() if sys.stdout.isatty() else Console(width=140))
    if options.plots:
        plots.write(results, options.plots)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
