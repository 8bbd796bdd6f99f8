"""What was decided about backends while the balancer ran, and is not in the file: operators' words, health, ejections.

Plain data, so that another process can begin where this one is: a worker, or the process of an upgrade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from txlb.model.pool import Pool


def export(pools: Mapping[str, Pool]) -> dict[str, Any]:
    """All that was decided, for `restore`."""
    return {name: {"overrides": pool.overrides(), "verdicts": pool.verdicts()} for name, pool in pools.items()}


def restore(pools: Mapping[str, Pool], decided: Mapping[str, Any]) -> None:
    """Have these pools take over what `export` told, as far as it concerns them."""
    for name, said in decided.items():
        if name in pools:
            pools[name].restore(said["overrides"])
            pools[name].restore_verdicts(said["verdicts"])
