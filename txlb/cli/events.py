"""`txlb events`: what happens in the running balancer, a line each."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from txlb.cli import _admin_options
from txlb.cli._admin_client import Target
from txlb.config.words import clip

HELP = "follow what happens in the running balancer"


def configure(parser: argparse.ArgumentParser) -> None:
    """What to follow, and in which form."""
    parser.add_argument("--connections", action="store_true", help="also tell of every connection that ends")
    parser.add_argument(
        "--recent", type=int, default=20, metavar="N", help="begin with the last N, at most 200 (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a line")
    _admin_options.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Until the stream ends, or Ctrl-C."""
    connections = "&connections=yes" if options.connections else ""

    def command(target: Target) -> int:
        if options.connections and "workers" in target.request("GET", "/api/v1/state"):
            print(
                "With several workers the ends of connections are not told; the access log has them.", file=sys.stderr
            )
        for kind, data in target.events(f"/api/v1/events?state=no&recent={options.recent}{connections}"):
            line = json.dumps({"event": kind, **data}) if options.json else told(kind, data)
            print(line, flush=True)
        return 0

    return _admin_options.speak(options, command)


def told(kind: str, data: dict[str, Any]) -> str:
    """One event on one line: when, what, where, and the rest of its values by name."""
    rest = dict(data)
    stamp = rest.pop("time", None)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(stamp)) if isinstance(stamp, int | float) else "-"
    where = "/".join(str(rest.pop(key)) for key in ("pool", "backend") if rest.get(key))
    values = " ".join(f"{key}={_value(value)}" for key, value in rest.items() if value not in ("", None))
    return clip(" ".join(filter(None, [when, kind, where, values])), 2000)


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return json.dumps(text) if " " in text else text
