"""Sets of HTTP statuses as people write them: 200, "2xx", "200-299", "200, 204", or a list of these."""

from __future__ import annotations

import re
from collections.abc import Iterable

Written = int | str | tuple[int | str, ...]

_CLASS = re.compile(r"([1-5])xx", re.IGNORECASE)
_RANGE = re.compile(r"(\d{3})(?:\s*-\s*(\d{3}))?", re.ASCII)


def parse_statuses(written: Written) -> frozenset[int]:
    """All statuses that are meant; raises ValueError for what is none, and for an empty set."""
    found = frozenset(status for part in _parts(written) for status in _range(part))
    if not found:
        raise ValueError("must name at least one status")
    return found


def _parts(written: Written) -> Iterable[str]:
    for item in written if isinstance(written, tuple) else (written,):
        yield from (part.strip() for part in str(item).split(","))


def _range(part: str) -> range:
    if match := _CLASS.fullmatch(part):
        return range(int(match[1]) * 100, int(match[1]) * 100 + 100)
    if match := _RANGE.fullmatch(part):
        first, last = int(match[1]), int(match[2] or match[1])
        if 100 <= first <= last <= 599:
            return range(first, last + 1)
    raise ValueError(f"must be statuses such as 200, 2xx or 200-299, not {part!r}")
