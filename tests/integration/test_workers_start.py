"""Workers that cannot be started: the balancer says why and ends, at once and for good."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

CONFIG = """
workers: 4
listeners:
  web: {{listen: "tcp:{port}:interface=127.0.0.1", pool: echoes}}
pools:
  echoes: {{strategy: crash, backends: ["tcp:127.0.0.1:9"]}}
"""

PLUGIN = """
from txlb.plugin import StrategyMaker
crash = StrategyMaker("crash", "crash_lb:Crash", "ends the worker that it is in")
"""

MODULE = """
import os
from zope.interface import implementer
from txlb.interfaces import IStrategy
@implementer(IStrategy)
class Crash:
    def __init__(self):
        if "TXLB_WORKER" in os.environ:
            open({log!r}, "a").write("x")
            {crash}
    def rebuild(self, backends):
        pass
    def pick(self, client, exclude=()):
        return None
"""


class TestStart(SynchronousTestCase):
    """A plugin crashes the worker that it is in."""

    def run_with(self, crash: str) -> tuple[int, str, int]:
        """The exit code, what was said, and how often a worker got as far as to crash."""
        place = programs.folder(self)
        (place / "twisted" / "plugins").mkdir(parents=True)
        (place / "twisted" / "plugins" / "crash_txlb.py").write_text(PLUGIN)
        (place / "crash_lb.py").write_text(MODULE.format(crash=crash, log=str(place / "log")))
        (place / "config.yaml").write_text(CONFIG.format(port=programs.free_port()))
        path = {"PYTHONPATH": f"{programs.ROOT}:{place}"}
        balancer = programs.start(self, programs.twist_command("txlb"), cwd=place, environment=path)
        return balancer.wait(), balancer.output(), len((place / "log").read_text())

    def test_exit(self) -> None:
        """One that ends the process: 70, with its exit code as the reason, after one try of each worker at most."""
        code, said, tries = self.run_with("os._exit(3)")
        self.assertEqual(code, 70, said)
        self.assertRegex(said, r"txlb: worker \d ended with exit code 3, before it was ready")
        self.assertLessEqual(tries, 4)

    def test_exception(self) -> None:
        """One that raises: 70, with the exception as the reason."""
        code, said, tries = self.run_with("raise RuntimeError('no licence')")
        self.assertEqual(code, 70, said)
        self.assertRegex(said, r"txlb: worker \d .*no licence")
        self.assertLessEqual(tries, 4)
