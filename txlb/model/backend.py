"""One server: what was asked for, in which state it is, what is open on it, and what was counted.

A backend lives as long as its name is in the pool or a connection on it is open; a reload replaces its spec, not the
object. It only remembers. Eligibility and weight are computed by `txlb.model.eligibility` and stored here.
"""

from __future__ import annotations

import sys

from zope.interface import implementer

from txlb.interfaces import IBackend, Outcome
from txlb.model.health import HealthCounter
from txlb.model.histogram import Histogram
from txlb.model.limits import AnyGauge
from txlb.model.states import AdminState, HealthState, OutlierState
from txlb.specs import BackendSpec

UNLIMITED = sys.maxsize


@implementer(IBackend)
class Backend:
    """Hashed by identity, ordered by name.

    `effective_weight` is scaled by 100. `weight` is the same for strategies, but never 0: one that has yet to be told that
    a backend takes nothing more must not divide by it, so the last weight stays. `active` is `own` (leases of this process) plus `remote` (what other
    workers hold). `total` counts leases ever given, `outcomes` those released by how they ended. `bytes_in` came from
    clients, `bytes_out` from the backend. `failures` are passive ones in a row.
    """

    __slots__ = (
        "active",
        "admin",
        "bytes_in",
        "bytes_out",
        "checks_failed",
        "checks_passed",
        "connect_times",
        "counter",
        "durations",
        "effective_weight",
        "ejected_until",
        "ejections",
        "eligible",
        "failures",
        "first_byte_times",
        "gauge",
        "health_reason",
        "limit",
        "name",
        "outcomes",
        "outlier",
        "outlier_reason",
        "own",
        "present",
        "recovered_at",
        "remote",
        "returned_at",
        "spec",
        "total",
        "up_since",
        "weight",
        "weight_override",
    )

    def __init__(self, spec: BackendSpec, gauge: AnyGauge, now: float) -> None:
        self.name = spec.name
        self.gauge = gauge
        self.replace_spec(spec)
        self.present = True
        self.admin = AdminState.READY
        self.counter = HealthCounter()
        self.health_reason = ""
        self.outlier = OutlierState.OK
        self.outlier_reason = ""
        self.failures = 0
        self.ejections = 0
        self.ejected_until = 0.0
        self.returned_at = now
        self.recovered_at: float | None = None
        self.weight_override: int | None = None
        self.eligible = False
        self.effective_weight = 0
        self.weight = 1
        self.up_since = now
        self.own = 0
        self.remote = 0
        self.active = 0
        self.total = 0
        self.outcomes: dict[str, int] = {outcome.value: 0 for outcome in Outcome}
        self.bytes_in = 0
        self.bytes_out = 0
        self.checks_passed = 0
        self.checks_failed = 0
        self.connect_times = Histogram()
        self.first_byte_times = Histogram()
        self.durations = Histogram()

    def __lt__(self, other: Backend) -> bool:
        return self.name < other.name

    def __repr__(self) -> str:
        return f"<Backend {self.name} weight={self.effective_weight} active={self.active} {self.reason}>"

    @property
    def health(self) -> HealthState:
        """What probes say."""
        return self.counter.state

    @property
    def reason(self) -> str:
        """Why it is, or is not, offered new connections, in words for operators."""
        if not self.present:
            return "removed"
        if self.admin is not AdminState.READY:
            return f"in {self.admin} by the operator"
        if self.health is HealthState.DOWN:
            return f"down: {self.health_reason}"
        if self.outlier is OutlierState.EJECTED:
            return f"ejected: {self.outlier_reason}"
        if not self.effective_weight:
            return "weight 0"
        if self.health is HealthState.UNKNOWN:
            return "not checked"
        return f"up: {self.health_reason}"

    def replace_spec(self, spec: BackendSpec) -> None:
        """Take a new spec of the same name."""
        self.spec = spec
        self.limit = UNLIMITED if spec.max_connections is None else spec.max_connections
        self.gauge.limit = spec.max_connections

    def forget_verdicts(self) -> None:
        """What was seen concerned another server, or nobody looks any more."""
        self.counter.reset()
        self.health_reason = ""
        self.failures = 0
        self.ejections = 0
        self.recovered_at = None
