"""What many workers report, as one balancer's."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from txlb.workers import figures


def worker(total: int, connect_ms: float | None, open: int = 1) -> dict[str, Any]:
    """A worker's figures, as they travel."""
    return {
        "state": {
            "listeners": {"web": {"engine": "epoll", "open": open, "total": total, "rejected": 1, "pool": "p"}},
            "pools": {
                "p": {
                    "strategy": "round-robin",
                    "queued": 2,
                    "open": 77,
                    "backends": {
                        "a": {
                            "open": 77,
                            "total": total,
                            "outcomes": {"ok": total - 1, "refused": 1},
                            "bytes_in": 10,
                            "bytes_out": 20,
                            "connect_ms": connect_ms,
                            "first_byte_ms": None,
                            "health": "what this worker believes",
                        }
                    },
                }
            },
        },
        "measurements": {
            "listeners": {"web": {"outcomes": {"ok": total}, "duration": [[total, 0], 1.5]}},
            "pools": {
                "p": {
                    "open": 77,
                    "panic": False,
                    "retries": 1,
                    "refusals": {"full": 3},
                    "backends": {"a": {"connect": [[1, 2], 0.25]}, "gone": {"connect": [[9, 9], 9.0]}},
                }
            },
            "process": {"open": open, "limit": 100},
        },
    }


DECIDED = {
    "listeners": {"web": {"engine": "epoll", "open": 0, "total": 0, "rejected": 0, "pool": "p"}},
    "pools": {
        "p": {
            "strategy": "round-robin",
            "queued": 0,
            "open": 0,
            "backends": {"a": {"open": 5, "total": 0, "bytes_in": 0, "health": "up", "connect_ms": None}},
        }
    },
}
OPEN = {"process": 5, "listener/web": 5, "pool/p": 5, "pool/p/a": 5}


class StateTests(SynchronousTestCase):
    """`GET /api/v1/state`."""

    def test_sums(self) -> None:
        """Counters are added up; what is open comes from the shared counts, and health from the parent."""
        state = figures.state(DECIDED, [worker(10, 1.0), worker(30, 2.0)], None, OPEN)
        self.assertEqual(
            state["listeners"]["web"], {"engine": "epoll", "open": 5, "total": 40, "rejected": 2, "pool": "p"}
        )
        pool = state["pools"]["p"]
        self.assertEqual((pool["queued"], pool["open"]), (4, 5))
        backend = pool["backends"]["a"]
        self.assertEqual((backend["open"], backend["total"], backend["bytes_in"]), (5, 40, 20))
        self.assertEqual((backend["health"], backend["outcomes"]), ("up", {"ok": 38, "refused": 2}))

    def test_times_by_weight(self) -> None:
        """Mean times count by the connections that each worker had; None where nobody knows."""
        backend = figures.state(DECIDED, [worker(10, 1.0), worker(30, 2.0)], None, OPEN)["pools"]["p"]["backends"]["a"]
        self.assertEqual((backend["connect_ms"], backend["first_byte_ms"]), (1.75, None))

    def test_departed_stay_counted(self) -> None:
        """What a worker that ended was seen to have counted stays in the sums, and what it had open does not."""
        gone = figures.counters(worker(100, 1.0))
        state = figures.state(DECIDED, [worker(10, None)], gone, OPEN)
        self.assertEqual(state["listeners"]["web"]["total"], 110)
        self.assertEqual(state["pools"]["p"]["queued"], 2)
        self.assertEqual(state["pools"]["p"]["backends"]["a"]["outcomes"]["ok"], 108)
        measured = figures.measurements(DECIDED["pools"], [worker(10, None)], gone, OPEN)
        self.assertEqual(measured["listeners"]["web"], {"outcomes": {"ok": 110}, "duration": [[110, 0], 3.0]})

    def test_nobody_there(self) -> None:
        """With no worker's figures at hand there is still a state."""
        state = figures.state(DECIDED, [], None, OPEN)
        self.assertEqual(state["listeners"]["web"]["total"], 0)
        self.assertEqual(state["pools"]["p"]["backends"]["a"]["health"], "up")


class MeasurementsTests(SynchronousTestCase):
    """What metrics are made of."""

    def test_sums(self) -> None:
        """Histograms are added slot by slot, refusals by reason; the process's limit is the sum of all; backends that
        have left the pool are not shown."""
        decided = {"p": {"open": 0, "panic": True, "retries": 0, "refusals": {}, "backends": {"a": {"connect": []}}}}
        measured = figures.measurements(decided, [worker(1, None), worker(2, None)], None, OPEN)
        pool = measured["pools"]["p"]
        self.assertEqual((pool["retries"], pool["refusals"], pool["panic"]), (2, {"full": 6}, True))
        self.assertEqual(pool["backends"], {"a": {"connect": [[2, 4], 0.5]}})
        self.assertEqual(measured["process"], {"open": 5, "limit": 200})
