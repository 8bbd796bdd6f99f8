"""The three independent axes of a backend's state.

Admin is what the operator wants, health what probes see, outlier what traffic itself shows. Each is changed by its own
source only; `txlb.model.eligibility` is the one place where they meet.
"""

from __future__ import annotations

from enum import StrEnum


class AdminState(StrEnum):
    """`drain`: nothing new, live connections go on, probes too. `maint`: as drain, and probes stop."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class HealthState(StrEnum):
    """What active checks found; `unknown` until the first verdict, and counts as eligible."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class OutlierState(StrEnum):
    """Whether traffic showed the backend to be bad."""

    OK = "ok"
    EJECTED = "ejected"
