"""What the commands have in common that speak to a running balancer: how its admin is found, and what its refusals come to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from txlb import config
from txlb.cli._admin_client import NoAnswer, Refused, Target, of_name, of_spec
from txlb.errors import BAD_CONFIG, OptionError

UNAVAILABLE = 69
"""Exit code: nobody answers (sysexits.h, EX_UNAVAILABLE)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """`--config`, `--admin`, `--token-file`."""
    add = parser.add_argument
    add(
        "--config",
        default="config.yaml",
        metavar="FILE",
        help="the balancer's configuration, which says where its admin is (default: %(default)s)",
    )
    add(
        "--admin",
        metavar="URL",
        help="where the admin is, such as http://127.0.0.1:9090 or unix:/run/admin.sock, instead of --config",
    )
    add("--token-file", metavar="FILE", help="the admin's token (default: as in the configuration)")  # fmt: skip


def find(options: argparse.Namespace) -> Target:
    """The admin that is meant. Raises ConfigError or OptionError where it is off, and NoAnswer."""
    if options.admin is not None:
        return of_name(options.admin, options.token_file)
    loaded = config.load(options.config)
    if loaded.admin is None:
        raise OptionError("", f"{options.config} has no admin, so that a balancer with it cannot be asked")
    try:
        target = of_spec(loaded.admin)
    except NoAnswer as reason:
        raise OptionError("", f"the admin at {loaded.admin.listen} {reason}") from None
    if options.token_file is None:
        return target
    return Target(target.shown, target.host, target.port, target.secure, options.token_file)


def speak(options: argparse.Namespace, command: Callable[[Target], int]) -> int:
    """Run a command on the admin. Where that does not answer the exit code is 69, where it refuses 78, and one line says why."""
    target = find(options)
    try:
        return command(target)
    except Refused as refused:
        print(f"txlb: the admin at {target.shown}: {refused.reason or refused}", file=sys.stderr)
        for problem in refused.problems:
            print(problem, file=sys.stderr)
        return BAD_CONFIG if refused.status < 500 else UNAVAILABLE
    except NoAnswer as reason:
        print(f"txlb: the admin at {target.shown} {reason}", file=sys.stderr)
        return UNAVAILABLE
