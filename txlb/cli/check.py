"""`txlb check FILE`: say what is wrong with a configuration, without starting it. Exits 0, or 78 with a line per error."""

from __future__ import annotations

import argparse
import sys

from txlb.checks import load_checked
from txlb.specs import Config

HELP = "check a configuration file without starting anything"


def configure(parser: argparse.ArgumentParser) -> None:
    """One argument, the file."""
    parser.add_argument("file", nargs="?", default="config.yaml", help="the configuration (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Load and judge the file. Errors leave as ConfigError, which the command line prints."""
    from twisted.internet import reactor  # needed for endpoints only, and never run

    config = load_checked(options.file, reactor)
    for warning in config.warnings:
        print(f"{warning} (warning)", file=sys.stderr)
    print(f"{options.file}: ok: {summary(config)}")
    return 0


def summary(config: Config) -> str:
    """What the configuration holds, such as `1 listener, 1 pool, 3 backends`."""
    backends = sum(len(pool.backends) for pool in config.pools.values())
    counts = ((len(config.listeners), "listener"), (len(config.pools), "pool"), (backends, "backend"))
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts)
