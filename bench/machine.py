"""Where this runs: processors to pin to, the limit of open files, and words for the report."""

from __future__ import annotations

import os
import platform
import resource
from contextlib import suppress
from pathlib import Path

import twisted


def processors() -> tuple[int, int]:
    """(the proxy's, the load's and backend's): two of those that this process may use, or one twice."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]


def raise_limit(wanted: int = 65536) -> int:
    """Raise the limit of open files, the hard one too where that is permitted; returns what it is then."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def room(limit: int) -> int:
    """How many connections a proxy can hold open at once: two descriptors each, and a hundred kept back."""
    return (limit - 200) // 2


def prefer() -> None:
    """Have what is started from here on, proxies, load and backend alike, go before others' work, where that is permitted.

    Who was started with a niceness of his own keeps it.
    """
    with suppress(PermissionError):
        if os.getpriority(os.PRIO_PROCESS, 0) == 0:
            os.setpriority(os.PRIO_PROCESS, 0, -10)


def describe() -> dict[str, str]:
    """The machine in a few words, for the report."""
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": model[0] if model else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory[0]) / 2**20:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "twisted": twisted.__version__,
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
