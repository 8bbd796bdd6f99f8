"""`twist txlb` with an ear: at SIGRTMIN it writes what it holds to a file.

python -m bench.soak.inside CONFIG FILE
"""

from __future__ import annotations

import gc
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.application.twist import _twist
from twisted.internet import reactor as installed

from txlb.proxy.pair import ProxyPair

reactor: Any = installed


def holdings() -> dict[str, int]:
    """How many descriptors, pairs, readers and delayed calls there are, once garbage is gone; the calls by what they
    call, so that one too many has a name."""
    gc.collect()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())) - 1,  # the one by which it is read
        "pairs": sum(type(thing) is ProxyPair for thing in gc.get_objects()),
        "readers": len(reactor.getReaders()),
        **Counter(f"call {_name(call.func)}" for call in reactor.getDelayedCalls()),
    }


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def tell(path: Path) -> None:
    """Write them; whoever reads never sees half a file."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(holdings()))
    draft.rename(path)


def main(config: str, told: str) -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGRTMIN, lambda *_: reactor.callFromThread(tell, Path(told)))
    _twist.Twist.main(["twist", "--log-format=text", "txlb", "--config", config])


if __name__ == "__main__":
    main(*sys.argv[1:])
