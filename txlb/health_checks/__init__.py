"""Active health checks: find out that a backend is bad before a client does.

A *check* (`tcp`, `http`, `send-expect`, `exec`, or a plugin's) knows how to ask one backend one question and forgets
the answer. A `Probe` runs a check once and contains it: it ends exactly once, at the timeout if not before, whatever
the check does. A `Watch` is one backend's timetable, the `Gate` bounds how many probes run at once, and the
`Scheduler` follows the pools. Counting rise and fall is the pool's: it is told each verdict by `pool.observe`.
"""

from txlb.health_checks.scheduler import Scheduler

__all__ = ["Scheduler"]
