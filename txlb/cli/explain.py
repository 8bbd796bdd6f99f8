"""`txlb explain FILE --client IP`: which backend this client gets, and why.

The live balancer is asked where the configuration has an admin that answers, because only it knows what is up and how
busy. Else a pool is made from the configuration: everything idle, nothing probed.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import random
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from twisted.internet.task import Clock

from txlb import config, registry
from txlb.cli._admin_client import NoAnswer, ask
from txlb.cli._choice import choose_pool
from txlb.errors import OptionError
from txlb.events import EventBus
from txlb.model.pool import Pool
from txlb.simulate.workload import SimClient
from txlb.specs import AdminSpec, PoolSpec

HELP = "tell which backend a client gets, and why"


def configure(parser: argparse.ArgumentParser) -> None:
    """Only the client has to be given."""
    add = parser.add_argument
    add("file", nargs="?", default="config.yaml", help="the configuration (default: %(default)s)")
    add("--client", required=True, metavar="IP", help="the client's address")
    add("--pool", help="which pool, where there are several")
    add("-n", "--count", type=int, default=1, metavar="N",
        help="also tell where its next N connections go if all stay open; from the configuration only")  # fmt: skip
    add("--offline", action="store_true", help="do not ask the live balancer")
    add("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Explain. Bad input leaves as ConfigError or OptionError."""
    client = _client(options.client)
    if not 1 <= options.count <= 10_000:
        raise OptionError("-n", f"must be from 1 to 10000, not {options.count}")
    loaded = config.load(options.file)
    spec = choose_pool(loaded, options.file, options.pool)
    found = None
    if loaded.admin is not None and not options.offline:
        found = _live(loaded.admin, spec.name, client, options.count)
    if found is None:
        found = offline(spec, client, options.count)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found, client)
    return 0


def offline(spec: PoolSpec, client: str, count: int) -> dict[str, Any]:
    """`Pool.explain` of a fresh pool, with `source` and, for a `count` above 1, `next`: a name or None each."""
    pool = Pool(spec, registry.strategies(), Clock(), random.Random(0), EventBus())
    asking = SimClient(client)
    found = {"source": "configuration", **pool.explain(asking)}
    if count > 1:
        leases = [pool.acquire(asking) for _ in range(count)]
        found["next"] = [None if lease is None else lease.backend.name for lease in leases]
    pool.stop()
    return found


def _live(admin: AdminSpec, pool: str, client: str, count: int) -> dict[str, Any] | None:
    try:
        found = ask(admin, "/api/v1/pools/{}/explain?client={}", pool, client)
        backends = found.get("backends")
        if not isinstance(backends, dict) or not all(isinstance(told, dict) for told in backends.values()):
            raise NoAnswer("answers with something else than an explanation")
    except NoAnswer as reason:
        print(f"The admin at {admin.listen} {reason}; told from the configuration.", file=sys.stderr)
        return None
    if count > 1:
        print("The live balancer tells its next pick only; -n works with --offline.", file=sys.stderr)
    return {"source": "live", **found}


def _client(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise OptionError("--client", f"must be an IP address, not {text!r}") from None


def _print(found: dict[str, Any], client: str) -> None:
    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console.width = 160
    source = "the live balancer" if found["source"] == "live" else "the configuration: all idle, nothing probed"
    pick = found.get("pick")
    head = f"{client} → {pick}" if pick else f"{client} gets no backend"
    console.print(head, style="bold", markup=False)
    console.print(f"{found.get('strategy')}: {found.get('why')}", markup=False)
    console.print(
        f"pool {found.get('pool')}, from {source}{', in panic' if found.get('panic') else ''}",
        style="dim",
        markup=False,
    )
    console.print()
    console.print(_table(found["backends"], pick))
    if "next" in found:
        console.print()
        console.print("next: " + " ".join(name or "-" for name in found["next"]), markup=False)


def _table(backends: dict[str, dict[str, Any]], pick: str | None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (
        ("", "left"),
        ("backend", "left"),
        ("eligible", "left"),
        ("weight", "right"),
        ("open", "right"),
        ("score", "right"),
        ("why", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, told in backends.items():
        score = told.get("score")
        table.add_row(
            "→" if name == pick else "",
            name,
            "yes" if told.get("eligible") else "no",
            f"{(told.get('weight') or 0) / 100:g}",
            str(told.get("active", "")),
            "" if score is None else f"{score:.6g}",
            "; ".join(words for words in (told.get("reason"), told.get("why")) if words),
        )  # fmt: skip
    return table
