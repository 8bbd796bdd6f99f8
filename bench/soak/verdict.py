"""Whether a balancer is as it was: pure comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

SLACK_KIB = 4096
TROUBLE = ("Unhandled", "Traceback (most recent call last)", "#critical]")


def left_over(baseline: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """What there is more or less of than before, by name; empty when all is as it was."""
    names = [*baseline, *[name for name in now if name not in baseline]]
    changes = {name: now.get(name, 0) - baseline.get(name, 0) for name in names}
    return {name: by for name, by in changes.items() if by}


def at_rest(seen: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Of what a balancer held at several moments without traffic, the least.

    Timers that end by themselves (a look at young connections, at unused pipes) and probes on their way come on top of it.
    """
    return dict(min(seen, key=lambda held: sum(held.values())))


def growth(resident: Sequence[int]) -> int:
    """KiB by which resident memory grew: the median of the last fifth less that of the second.

    In the first fifth a fresh process fills its pools and caches. Raises ValueError below ten samples.
    """
    if len(resident) < 10:
        raise ValueError("too few samples of the resident memory")
    fifth = len(resident) // 5
    return int(median(resident[-fifth:]) - median(resident[fifth : 2 * fifth]))


def flat(resident: Sequence[int]) -> bool:
    """Whether that growth is within a twentieth, or 4 MiB."""
    return growth(resident) <= max(SLACK_KIB, median(resident) / 20)


def troubles(log: Iterable[str]) -> list[str]:
    """The lines of a log that tell of an error that nobody handled."""
    return [line.rstrip() for line in log if any(word in line for word in TROUBLE)]
