"""Where connections are: at which backend, and in which of a proxy's processes; and how far that is from even.

All of it is seen from outside, in /proc, and so in the same way for every proxy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from bench.process import family

ESTABLISHED = "01"


def misplaced(counts: Collection[int]) -> float:
    """The share of all connections that would have to move for the counts to differ by one at most; 0 where there is
    none."""
    total = sum(counts)
    if not total:
        return 0.0
    low, rest = divmod(total, len(counts))
    high = low + (1 if rest else 0)
    above = sum(max(0, count - high) for count in counts)
    below = sum(max(0, low - count) for count in counts)
    return max(above, below) / total


def fullest(counts: Collection[int]) -> float:
    """By which share the greatest count is above the mean; 0 where all are alike or there is none."""
    total = sum(counts)
    return max(counts) * len(counts) / total - 1 if total else 0.0


def by_backend(table: Iterable[str], hosts: Iterable[str], port: int) -> list[int]:
    """Established connections at each of these addresses, from the lines of /proc/net/tcp."""
    fields = (line.split() for line in table)
    found = Counter(words[1] for words in fields if len(words) > 3 and words[3] == ESTABLISHED)
    return [found[address(host, port)] for host in hosts]


def address(host: str, port: int) -> str:
    """As /proc/net/tcp writes it on a machine of this byte order."""
    number = int.from_bytes(bytes(map(int, host.split("."))), "little")
    return f"{number:08X}:{port:04X}"


def table() -> list[str]:
    """The lines of /proc/net/tcp."""
    return Path("/proc/net/tcp").read_text().splitlines()


def sockets(pid: int) -> dict[int, int]:
    """How many sockets each process of a family holds open."""
    found: dict[int, int] = {}
    for process in family(pid):
        with suppress(FileNotFoundError):
            found[process] = sum(map(_is_socket, Path(f"/proc/{process}/fd").iterdir()))
    return found


def _is_socket(path: Path) -> bool:
    try:
        return str(path.readlink()).startswith("socket:")
    except FileNotFoundError:
        return False
