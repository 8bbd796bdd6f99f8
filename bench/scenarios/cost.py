"""The proxy's processor time for a load: read before, read after, divided by what came back right."""

from __future__ import annotations

from typing import Any

from bench.native import Answers
from bench.scenarios import Running


def spent(running: Running, mode: str, **options: Any) -> tuple[float, Answers]:
    """(the proxy's processor seconds while the load worked, what the load saw); opening connections is not counted."""
    with running.load(mode, **options) as load:
        before = running.cpu_seconds()
        answers = load.work()
        return running.cpu_seconds() - before, answers
