"""Few samples from a noisy machine: medians, the whole spread, and ratios taken round by round.

A round measures all peers within seconds of each other, so a ratio inside one round is worth more than a ratio of two
medians: what slowed the machine down slowed both.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from attrs import frozen


@frozen
class Summary:
    """The middle of some samples, and the least and the greatest of them."""

    middle: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """How far the farthest sample is from the middle, as a share of it; 0 where the middle is 0."""
        if not self.middle:
            return 0.0
        return max(self.high - self.middle, self.middle - self.low) / abs(self.middle)


def summarize(samples: Mapping[int, float]) -> Summary:
    """The summary of one value a round; raises ValueError when there is none."""
    if not samples:
        raise ValueError("no samples")
    values = list(samples.values())
    return Summary(median(values), min(values), max(values))


def ratio(samples: Mapping[int, float], base: Mapping[int, float]) -> float | None:
    """The median over the common rounds of sample / base; None where no round has both, or a base of 0 or less."""
    ratios = [samples[n] / base[n] for n in samples.keys() & base.keys() if base[n] > 0]
    return median(ratios) if ratios else None


def added(samples: Mapping[str, float], base: Mapping[str, float]) -> dict[str, float]:
    """Each figure less the one that was measured without a proxy in the same round."""
    return {name: value - base[name] for name, value in samples.items() if name in base}
