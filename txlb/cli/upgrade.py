"""`txlb upgrade`: have a process of what lies on the disk now take over from the running balancer."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from txlb.cli import _admin_options
from txlb.cli._admin_client import NoAnswer, Refused, Target
from txlb.errors import INTERNAL_FAILURE

HELP = "have a new process take the running balancer over, without a connection lost"
LOOK_EVERY = 0.1
BEFORE_IT_ENDS = 60.0
"""Seconds to wait for an answer: as long as the balancer gives the new process, and some more."""

STATE_TIME = 25.0


def configure(parser: argparse.ArgumentParser) -> None:
    """By the admin, which also tells how it went, or by the process's number."""
    parser.add_argument("--pid", type=int, help="the process, where there is no admin; its log tells how it went")
    parser.add_argument(
        "--timeout", type=float, default=BEFORE_IT_ENDS, metavar="SECONDS", help="wait so long (default: %(default)g)"
    )
    _admin_options.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Do it. The exit code is 0 where the new process has taken over, or where the signal was sent to `--pid`."""
    if options.pid is not None:
        return _signal(options.pid)
    return _admin_options.speak(options, lambda target: _upgrade(target, options.timeout))


def _upgrade(target: Target, timeout: float) -> int:
    before = _state(target)
    pid, failures = before["pid"], before["upgrade"]["failures"]
    if code := _signal(pid):
        return code
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
        try:
            now = _state(target)
        except Refused:
            raise
        except NoAnswer:
            continue  # the old process has closed its admin, and the new one not yet opened it
        if now["pid"] != pid:
            print(f"process {now['pid']} has taken over from process {pid}")
            return 0
        if now["upgrade"]["failures"] != failures:
            return _fail(f"not upgraded: {now['upgrade']['reason']}; process {pid} goes on")
    return _fail(f"process {pid} has not been taken over from after {timeout:g} s; its log says more")


def _state(target: Target) -> Any:
    return target.request("GET", "/api/v1/state", timeout=STATE_TIME)


def _signal(pid: int) -> int:
    """SIGUSR2 ends a process that does not expect it."""
    try:
        expected = catches(Path(f"/proc/{pid}/status").read_text(), signal.SIGUSR2)
    except OSError as error:
        return _fail(f"there is no process {pid} here: {error.strerror}")
    if not expected:
        return _fail(f"process {pid} is no balancer that can be upgraded: it does not listen to SIGUSR2")
    try:
        os.kill(pid, signal.SIGUSR2)
    except OSError as error:
        return _fail(f"process {pid} cannot be signalled: {error.strerror}")
    print(f"asked process {pid}")
    return 0


def catches(status: str, number: int) -> bool:
    """Whether a process handles this signal, by its `/proc/PID/status`."""
    masks = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(masks) and bool(int(masks[0], 16) >> (number - 1) & 1)


def _fail(why: str) -> int:
    print(f"txlb: {why}", file=sys.stderr)
    return INTERNAL_FAILURE
