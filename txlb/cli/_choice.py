"""Which pool a command is about."""

from __future__ import annotations

from txlb.errors import OptionError
from txlb.specs import Config, PoolSpec


def choose_pool(loaded: Config, file: str, name: str | None) -> PoolSpec:
    """The pool of that name, or the only one. Raises OptionError."""
    known = ", ".join(loaded.pools)
    if name is None and len(loaded.pools) == 1:
        return next(iter(loaded.pools.values()))
    if name is None:
        raise OptionError("--pool", f"say which, {file} has {len(loaded.pools)}: {known}")
    if name not in loaded.pools:
        raise OptionError("--pool", f"there is no pool {name!r} in {file}; known: {known}")
    return loaded.pools[name]
