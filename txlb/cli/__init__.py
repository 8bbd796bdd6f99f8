"""The `txlb` command. `twist txlb` runs the balancer; this one looks at it from outside.

Each module of this package is one command of the same name, so that a new command is a new file and nothing else. It has

    HELP                 one line
    configure(parser)    adds its arguments to an `argparse.ArgumentParser`
    run(options)         does it, and returns the exit code

Modules whose names begin with an underscore are no commands. Only the command that was asked for is imported: `txlb
check` must not wait for what the simulator needs.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module

from txlb import __version__
from txlb.errors import BAD_CONFIG, INTERNAL_FAILURE, ConfigError, OptionError, TxlbError, UnknownPlugin

COMMANDS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))

BROKEN_PIPE = 128 + 13
"""Exit code when the reader of the output has gone, as a shell reports a death by SIGPIPE."""

INTERRUPTED = 128 + 2
"""Exit code after Ctrl-C, as a shell reports a death by SIGINT."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Wrong arguments and `--help` raise SystemExit, as argparse does."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        options = _parser(arguments).parse_args(arguments)
        code: int = options.run(options)
        sys.stdout.flush()  # a reader that has gone shows here, where it can still be handled
    except BrokenPipeError:
        # What is left in the buffer must not raise again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except TxlbError as error:
        print(f"txlb: {error}", file=sys.stderr)
        return BAD_CONFIG if isinstance(error, OptionError | UnknownPlugin) else INTERNAL_FAILURE
    return code


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="txlb", description="Look at, check and steer the txlb load balancer.")
    parser.add_argument("--version", action="version", version=f"txlb {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in _wanted(arguments):
        module = import_module(f"{__name__}.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def _wanted(arguments: Sequence[str]) -> Sequence[str]:
    """The command that is asked for; all of them where there is none, so that they can be listed."""
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    return (named,) if named in COMMANDS else COMMANDS
