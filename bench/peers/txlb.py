"""txlb, with the engine that is asked for and its defaults for everything else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from string import Template

import txlb
from bench.peers import Peer, Plan, fill


def version() -> str | None:
    """The version of txlb that this interpreter imports; None while it has no balancer."""
    return txlb.__version__ if find_spec("txlb.tap") else None


def command(engine: str, more: str = "") -> Callable[[Plan, Path], list[str]]:
    """`twist txlb` with this engine; `more` is YAML to add to the configuration."""

    def start(plan: Plan, folder: Path) -> list[str]:
        config = fill(
            "txlb.yaml",
            folder,
            PORT=plan.port,
            ENGINE=engine,
            WORKERS=plan.workers,
            STRATEGY=plan.strategy,
            BACKENDS=", ".join(f"'tcp:{host}:{port}'" for host, port in plan.backends),
            MORE=Template(more).substitute(FOLDER=folder),
        )
        return [sys.executable, "-m", "twisted", "txlb", "--config", str(config)]

    return start


def variant(base: Peer, file: Path) -> Peer:
    """One of txlb's peers with the YAML of `file` added: for `--against`."""
    engine = base.name.removeprefix("txlb-")
    return Peer(f"{base.name}+{file.stem}", version, command(engine, file.read_text()))
