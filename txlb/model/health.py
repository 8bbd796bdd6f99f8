"""Rise and fall: a pure counter of consecutive verdicts, apart from whoever probes.

unknown --ok--> up            unknown --failed--> down         the first verdict decides
up --`fall` failures in a row--> down       down --`rise` passes in a row--> up
"""

from __future__ import annotations

from txlb.model.states import HealthState


class HealthCounter:
    """The state and how many verdicts in a row spoke against it."""

    __slots__ = ("against", "state")

    def __init__(self) -> None:
        self.state = HealthState.UNKNOWN
        self.against = 0

    def observe(self, ok: bool, rise: int, fall: int) -> bool:
        """Take a verdict; returns whether the state changed."""
        verdict = HealthState.UP if ok else HealthState.DOWN
        if verdict is self.state:
            self.against = 0
            return False
        self.against += 1
        needed = 1 if self.state is HealthState.UNKNOWN else rise if ok else fall
        if self.against < needed:
            return False
        self.state = verdict
        self.against = 0
        return True

    def become(self, state: HealthState) -> None:
        """Another counter decided."""
        self.state = state
        self.against = 0

    def reset(self) -> None:
        """Know nothing: the next verdict decides."""
        self.state = HealthState.UNKNOWN
        self.against = 0
