"""Retries that cannot amplify an outage.

A retry is under way from the moment it acquires a backend until it is connected or released. No more of them than a
share of the pool's open connections run at a time; a small pool always has a few.
"""

from __future__ import annotations

from txlb.specs import RetryBudgetSpec


class RetryBudget:
    """Counts retries under way against what the spec allows."""

    __slots__ = ("spec", "under_way")

    def __init__(self, spec: RetryBudgetSpec) -> None:
        self.spec = spec
        self.under_way = 0

    def allows(self, open_connections: int) -> bool:
        """Whether one more may start."""
        return self.under_way < max(self.spec.least, open_connections * self.spec.percent // 100)

    def take(self) -> None:
        """One started."""
        self.under_way += 1

    def give(self) -> None:
        """One got through, or failed."""
        self.under_way -= 1
