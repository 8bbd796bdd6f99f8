"""A third party's strategy, from its folder to the pick: built and installed by pip, found, listed, configured, used,
and taken away again.

The environment is a fresh one, without a network: it sees the dependencies of the running Python through a `.pth` file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

EXAMPLE = programs.ROOT / "examples" / "txlb-sticky-example"

CONFIG = """\
listeners:
  web: {listen: "tcp:8080:interface=127.0.0.1", pool: echoes}
pools:
  echoes:
    strategy: {name: example-sticky-pair, salt: monday}
    backends: ["tcp:127.0.0.1:9001", "tcp:127.0.0.1:9002", "tcp:127.0.0.1:9003"]
"""

USE = """\
import random, sys
from twisted.internet.task import Clock
from txlb.config import load
from txlb.events import EventBus
from txlb.model.pool import Pool
from txlb.registry import strategies
from txlb.testing import FakeClient
pool = Pool(load(sys.argv[1]).pools["echoes"], strategies(), Clock(), random.Random(1), EventBus())
leases = [pool.acquire(FakeClient("192.0.2.1")) for _ in range(10)]
print(type(pool.chain.links[0].strategy).__name__, pool.chain.links[0].strategy.salt)
print(*sorted(backend.active for backend in pool.backends.values()))
"""


class TestThirdParty(SynchronousTestCase):
    """The example package, as its README has it."""

    def setUp(self) -> None:
        """A fresh environment that has txlb and everything it needs, and a folder with a configuration."""
        self.place = programs.folder(self)
        programs.run([sys.executable, "-m", "venv", "--without-pip", str(self.place / "venv")])
        self.python = str(self.place / "venv" / "bin" / "python")
        done = programs.run([self.python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
        paths = [sysconfig.get_paths()["purelib"], str(programs.ROOT)]
        (Path(done.stdout.strip()) / "dependencies.pth").write_text("\n".join(paths) + "\n")
        (self.place / "config.yaml").write_text(CONFIG)

    def pip(self, *arguments: str) -> None:
        """Run pip for the fresh environment, without a network."""
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
            raise SkipTest("pip is not installed beside the running Python")
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check"]
        programs.run([*pip, *arguments], seconds=120)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python in the folder; whatever the exit code."""
        command = [self.python, *arguments]
        return subprocess.run(command, cwd=self.place, capture_output=True, text=True, timeout=60)

    def test_the_whole_way(self) -> None:
        """Unknown before, found, listed and used after `pip install`, and after `pip uninstall` an error that says so."""
        before = self.ask("-m", "txlb", "check", "config.yaml")
        self.assertEqual(before.returncode, 78, before.stderr)

        source = self.place / "source"
        shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__", "*.cache"))
        self.pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", str(source))

        listed = self.ask("-m", "txlb", "strategies")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertRegex(listed.stdout, r"(?m)^example-sticky-pair +two backends for each client")
        self.assertIn("salt: text (default )", listed.stdout)
        self.assertIn("round-robin", listed.stdout)

        checked = self.ask("-m", "txlb", "check", "config.yaml")
        self.assertEqual(checked.returncode, 0, checked.stderr)

        used = self.ask("-c", USE, "config.yaml")
        self.assertEqual(used.stdout.splitlines(), ["StickyPair monday", "0 5 5"], used.stderr)

        (self.place / "wrong.yaml").write_text(CONFIG.replace("salt: monday", "slat: monday"))
        wrong = self.ask("-m", "txlb", "check", "wrong.yaml")
        self.assertEqual(wrong.returncode, 78)
        self.assertRegex(wrong.stderr, r"wrong\.yaml:5:\d+: .*slat.*salt")

        self.pip("uninstall", "--quiet", "--yes", "txlb-sticky-example")
        self.assertNotIn("example-sticky-pair", self.ask("-m", "txlb", "strategies").stdout)
        gone = self.ask("-m", "txlb", "check", "config.yaml")
        self.assertEqual(gone.returncode, 78)
        self.assertRegex(gone.stderr, r"config\.yaml:5:\d+: .*unknown strategy 'example-sticky-pair'.*round-robin")

    def test_its_own_tests(self) -> None:
        """The example's tests, which run the conformance kit, pass from its folder."""
        source = self.place / "source"
        shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__", "*.cache"))
        done = subprocess.run(
            [self.python, "-m", "twisted.trial", "tests"], cwd=source, capture_output=True, text=True, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-2000:])
        self.assertIn("test_few_move", done.stdout)
