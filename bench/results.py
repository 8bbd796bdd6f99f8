"""What came out: one row for each figure of each peer, and JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from bench.scenarios import Base, Metric
from bench.stats import Summary, added, ratio, summarize

BASES = ("haproxy", "portforward")


@frozen
class Key:
    """Which figure: of this scenario, at this point, of this peer."""

    scenario: str
    metric: str
    point: int | None
    peer: str


@define
class Results:
    """All samples by figure and round, and the runs that failed."""

    machine: dict[str, str]
    options: dict[str, Any]
    versions: dict[str, str]
    metrics: dict[tuple[str, str], Metric] = field(factory=dict)
    samples: dict[Key, dict[int, float]] = field(factory=dict)
    failures: list[str] = field(factory=list)
    when: str = field(factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def add_round(self, scenario: Base, point: int | None, number: int, figures: dict[str, dict[str, float]]) -> None:
        """One round of a scenario: for each peer its figures. Subtracts the run without a proxy where that is asked."""
        direct = figures.get("direct")
        for peer, found in figures.items():
            if scenario.added and peer != "direct":
                found = added(found, direct or {})
            for metric in scenario.metrics:
                if metric.key in found:
                    self.metrics[scenario.name, metric.key] = metric
                    key = Key(scenario.name, metric.key, point, peer)
                    self.samples.setdefault(key, {})[number] = found[metric.key]

    def summary(self, key: Key) -> Summary | None:
        """None when there is no sample."""
        found = self.samples.get(key)
        return summarize(found) if found else None

    def ratio(self, key: Key, base: str) -> float | None:
        """To another peer's same figure, round by round; None when either is missing."""
        other = Key(key.scenario, key.metric, key.point, base)
        return ratio(self.samples.get(key, {}), self.samples.get(other, {}))

    def to_first(self, key: Key) -> float | None:
        """To the same figure at the first point, round by round; None where this is the first."""
        first = self.points(key.scenario, key.metric)[0]
        if key.point == first:
            return None
        return ratio(self.samples.get(key, {}), self.samples.get(Key(key.scenario, key.metric, first, key.peer), {}))

    def points(self, scenario: str, metric: str) -> list[int | None]:
        """At which points there are samples, in order."""
        found = {key.point for key in self.samples if (key.scenario, key.metric) == (scenario, metric)}
        return sorted(found, key=lambda point: point or 0)

    def peers(self, scenario: str, metric: str) -> list[str]:
        """Who has samples, in the order of the versions; strategies by name."""
        found = {key.peer for key in self.samples if (key.scenario, key.metric) == (scenario, metric)}
        return [peer for peer in self.versions if peer in found] + sorted(found - self.versions.keys())

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each figure as plain values, for JSON."""
        for key, samples in self.samples.items():
            metric, summary = self.metrics[key.scenario, key.metric], summarize(samples)
            yield {
                "scenario": key.scenario,
                "metric": key.metric,
                "title": metric.title,
                "unit": metric.unit,
                "point": key.point,
                "peer": key.peer,
                "median": summary.middle,
                "low": summary.low,
                "high": summary.high,
                "samples": {str(number): value for number, value in samples.items()},
                "to_first": self.to_first(key),
                **{f"to_{base}": self.ratio(key, base) for base in self.bases()},
            }

    def bases(self) -> tuple[str, ...]:
        """To whom ratios are given: HAProxy, portforward, and the plain txlb of `--against`."""
        plain = {peer.partition("+")[0] for peer in self.versions if "+" in peer}
        return (*BASES, *sorted(plain))

    def as_json(self) -> str:
        """Everything, for machines."""
        words = ("when", "machine", "options", "versions", "failures")
        return json.dumps({**{word: getattr(self, word) for word in words}, "figures": list(self.rows())}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Results:
        """What `as_json` wrote, to render it again."""
        read = json.loads(text)
        results = cls(read["machine"], read["options"], read["versions"], failures=read["failures"], when=read["when"])
        for row in read["figures"]:
            metric = Metric(row["metric"], row["title"], row["unit"])
            results.metrics[row["scenario"], row["metric"]] = metric
            key = Key(row["scenario"], row["metric"], row["point"], row["peer"])
            results.samples[key] = {int(number): value for number, value in row["samples"].items()}
        return results

    def replace(self, other: Results) -> None:
        """Take over another run's figures where it has any, whole scenarios at a time, and what failed in them."""
        again = {scenario for scenario, _ in other.metrics}
        self.samples = {key: found for key, found in self.samples.items() if key.scenario not in again}
        self.samples |= other.samples
        self.metrics |= other.metrics
        self.versions |= other.versions
        self.failures = [text for text in self.failures if not text.startswith(tuple(again))] + other.failures

    def write(self, path: Path) -> None:
        """Write the JSON, making the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.as_json() + "\n")
