"""`python -m tests.fuzz --minutes 10 [NAME …]`: new inputs until the time is over. What breaks something is shrunk, put
into the corpus and shown; the exit code is then 1."""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.inputs import inputs, keep
from tests.fuzz.targets import TARGETS, Target

ROUND = settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def main(argv: list[str] | None = None) -> int:
    """Go through the targets in turn until the time is over."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("targets", nargs="*", metavar="NAME", help=f"some of {', '.join(TARGETS)}; default: all")
    options = parser.parse_args(argv)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    tried, broken = dict.fromkeys(options.targets or TARGETS, 0), set()
    until = time.monotonic() + 60 * options.minutes
    while time.monotonic() < until and len(broken) < len(tried):
        for name in tried:
            if name not in broken and time.monotonic() < until and not _round(name, TARGETS[name], tried):
                broken.add(name)
    print(", ".join(f"{name} {count:,}" for name, count in tried.items()))
    return 1 if broken else 0


def _round(name: str, target: Target, tried: dict[str, int]) -> bool:
    """Some hundred new inputs for one target; whether all was well."""
    last = [b""]

    def run(data: bytes) -> None:
        last[0] = data
        tried[name] += 1
        target.run(data)

    try:
        _tested(run, name, target)()
    except Exception:
        traceback.print_exc()
        print(f"{name} breaks with {keep(name, last[0])}", flush=True)
        return False
    return True


def _tested(run: Callable[[bytes], None], name: str, target: Target) -> Callable[[], None]:
    return seed(random.getrandbits(64))(ROUND(given(inputs(name, target.words))(run)))


if __name__ == "__main__":
    sys.exit(main())
