"""Everything of which there is little: listeners, pools, reloads, this process. Names follow Prometheus' conventions:
base units, `_total` for what only grows, `_info` for what is told by labels."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

import twisted
from txlb import __version__
from txlb.metrics.process import LoopLag
from txlb.metrics.tally import Tally
from txlb.model.histogram import BOUNDS

Figures = Mapping[str, Any]
Samples = Mapping[Any, Any]
"""Values by those of the labels, which are a tuple."""

_PAGE = resource.getpagesize()
_TICK = os.sysconf("SC_CLK_TCK")


def gauge(name: str, help: str, samples: Samples, *labels: str) -> Metric:
    """A gauge; `samples` are by the values of its labels. None is left out."""
    family = GaugeMetricFamily(name, help, labels=labels)
    for values, value in samples.items():
        if value is not None:
            family.add_metric(values, value)
    return family


def counter(name: str, help: str, samples: Samples, *labels: str) -> Metric:
    """A counter; `_total` is added to its name."""
    family = CounterMetricFamily(name, help, labels=labels)
    for values, value in samples.items():
        family.add_metric(values, value)
    return family


def info(name: str, help: str, samples: Iterable[Mapping[str, str]]) -> Metric:
    """What is told by labels; `_info` is added to its name."""
    family = InfoMetricFamily(name, help)
    for sample in samples:
        family.add_metric([], dict(sample))
    return family


def histogram(name: str, help: str, samples: Samples, *labels: str) -> Metric:
    """All buckets that are counted; `samples` are (counts, sum) as in `txlb.model.histogram`."""
    family = HistogramMetricFamily(name, help, labels=labels)
    bounds = [*map(repr, BOUNDS), "+Inf"]
    for values, (counts, total) in samples.items():
        family.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), total)
    return family


def listeners(state: Figures, measured: Figures) -> Iterator[Metric]:
    """What listeners accepted, and how it ended."""
    shown = {(name,): listener for name, listener in state["listeners"].items()}

    def each(key: str) -> dict[tuple[str, ...], Any]:
        return {values: listener.get(key) for values, listener in shown.items()}

    yield gauge("txlb_listener_open_connections", "Clients connected.", each("open"), "listener")
    yield counter("txlb_listener_connections", "Clients accepted.", each("total"), "listener")
    yield counter("txlb_listener_rejected", "Clients turned away.", each("rejected"), "listener")
    yield gauge("txlb_listener_max_connections", "The listener's own limit.", each("max_connections"), "listener")
    yield info(
        "txlb_listener",
        "The engine and the pool.",
        [{"listener": name, "engine": s["engine"], "pool": s.get("pool", "")} for (name,), s in shown.items()],
    )
    found = {(name,): figures for name, figures in measured.get("listeners", {}).items()}
    outcomes = {(n, o): c for (n,), figures in found.items() for o, c in figures["outcomes"].items()}
    yield counter("txlb_listener_outcomes", "Clients' connections by how they ended.", outcomes, "listener", "outcome")
    received = {values: figures["bytes_in"] for values, figures in found.items()}
    yield counter("txlb_listener_received_bytes", "Bytes from clients.", received, "listener")
    sent = {values: figures["bytes_out"] for values, figures in found.items()}
    yield counter("txlb_listener_sent_bytes", "Bytes to clients.", sent, "listener")
    durations = {values: figures["duration"] for values, figures in found.items()}
    yield histogram("txlb_listener_duration_seconds", "Whole duration of connections.", durations, "listener")


def pools(state: Figures, measured: Figures, tally: Tally) -> Iterator[Metric]:
    """What pools decided. What concerns their backends is in `txlb.metrics.backends`."""
    shown = {(name,): pool for name, pool in state["pools"].items()}
    found = {(name,): figures for name, figures in measured["pools"].items()}
    eligible = {values: sum(1 for b in pool["backends"].values() if b["eligible"]) for values, pool in shown.items()}
    backends = {values: len(pool["backends"]) for values, pool in shown.items()}
    queued = {values: pool["queued"] for values, pool in shown.items()}
    refusals = {(name, why): n for (name,), f in found.items() for why, n in f["refusals"].items()}
    strategies = [{"pool": name, "strategy": pool["strategy"]} for (name,), pool in shown.items()]

    def each(key: str) -> dict[tuple[str, ...], Any]:
        return {values: figures[key] for values, figures in found.items()}

    yield gauge("txlb_pool_open_connections", "Connections open or being dialled.", each("open"), "pool")
    yield gauge("txlb_pool_backends", "Backends in the pool.", backends, "pool")
    yield gauge("txlb_pool_eligible_backends", "Backends that may take connections.", eligible, "pool")
    yield gauge("txlb_pool_queued_clients", "Clients that wait for a backend.", queued, "pool")
    yield gauge("txlb_pool_panic", "Whether too few are eligible, so that others are used too.", each("panic"), "pool")
    yield counter("txlb_pool_panics", "Times that the pool went into panic.", _by_pool(tally.panics, shown), "pool")
    yield counter("txlb_pool_retries", "Further backends tried.", each("retries"), "pool")
    yield counter("txlb_pool_refusals", "Requests for a backend without one to give.", refusals, "pool", "reason")
    yield info("txlb_pool", "The strategy.", strategies)


def _by_pool(counts: Mapping[str, int], pools: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    return {values: counts.get(values[0], 0) for values in pools}


def happenings(tally: Tally) -> Iterator[Metric]:
    """What came over the event bus."""
    yield counter(
        "txlb_backend_transitions",
        "Changes of health and ejections, by what it became.",
        tally.transitions,
        *("pool", "backend", "to"),
    )
    yield counter("txlb_backend_changes", "Changes that operators made.", tally.changes, *("pool", "backend", "what"))
    failures = tally.plugin_failures
    yield counter("txlb_plugin_failures", "Strategies and checks that failed themselves.", failures, "kind", "name")
    reloads = {(result,): tally.reloads[result] for result in ("ok", "failed")}
    yield counter("txlb_reloads", "Configurations read again.", reloads, "result")
    yield gauge("txlb_reload_last_successful", "Whether the last reload was applied.", {(): int(tally.last_ok)})
    yield gauge("txlb_reload_last_timestamp_seconds", "When the last reload was tried.", {(): tally.last_reload})
    yield gauge("txlb_reload_last_success_timestamp_seconds", "When one was last applied.", {(): tally.last_success})
    yield counter("txlb_access_log_lost_lines", "Lines that the access log could not write.", {(): tally.lines_lost})


def balancer(measured: Figures, ready: bool, draining: bool, config_hash: str) -> Iterator[Metric]:
    """The balancer as a whole."""
    process = measured.get("process", {})
    build = {"version": __version__, "python": platform.python_version(), "twisted": twisted.__version__}
    yield info("txlb_build", "What runs.", [build])
    yield info("txlb_config", "A hash of the configuration that was applied.", [{"hash": config_hash}])
    yield gauge("txlb_ready", "Whether to send clients here.", {(): int(ready)})
    yield gauge("txlb_draining", "Whether it accepts no more.", {(): int(draining)})
    yield gauge("txlb_open_connections", "Clients connected to all listeners.", {(): process.get("open")})
    yield gauge("txlb_max_connections", "The most clients at a time.", {(): process.get("limit")})


def process(lag: LoopLag) -> Iterator[Metric]:
    """The process that answers the scrape, under the names that all Prometheus clients use for these; and its loop."""
    times = {(): (lag.times.counts, lag.times.total)}
    yield histogram("txlb_event_loop_lag_seconds", "How late calls come that are due.", times)
    yield gauge("txlb_event_loop_lag_worst_seconds", "The worst since the last scrape.", {(): lag.take_worst()})
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield counter("process_cpu_seconds", "User and system time.", {(): used.ru_utime + used.ru_stime})
    yield gauge("process_max_fds", "The limit on open descriptors.", {(): most})
    if not Path("/proc/self/statm").exists():
        return  # the rest is Linux only
    pages = [int(word) * _PAGE for word in Path("/proc/self/statm").read_text().split()[:2]]
    yield gauge("process_virtual_memory_bytes", "Virtual memory.", {(): pages[0]})
    yield gauge("process_resident_memory_bytes", "Resident memory.", {(): pages[1]})
    yield gauge("process_start_time_seconds", "When it was started, since the epoch.", {(): started()})
    yield gauge("process_open_fds", "Open descriptors.", {(): open_descriptors()})


def started() -> float:
    """When this process was started. The kernel counts from the machine's start, time asleep included."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return round(time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / _TICK), 2)


def open_descriptors() -> int:
    """How many are open. Since Linux 6.2 the folder's size says so; to list it takes milliseconds when there are many."""
    return Path("/proc/self/fd").stat().st_size or len(os.listdir("/proc/self/fd"))
