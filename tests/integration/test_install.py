"""Every way to install shows the plugins: wheel, sdist, editable and the bare checkout.

Packages are built and installed without a network: a fresh environment sees the dependencies of the running one through
a `.pth` file, whose own `.pth` files (an editable txlb among them) are not read there.
"""

from __future__ import annotations

import functools
import shutil
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import programs

BUILD = "import sys; from setuptools import build_meta as b; print(getattr(b, sys.argv[1])(sys.argv[2]))"
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", "*.egg-info", "build", "dist", "__pycache__", "dropin.cache", "_trial_temp*", ".*_cache"
)


def build(kind: str, source: Path, to: Path) -> Path:
    """Build a `wheel` or `sdist` of a source folder with the build backend, as pip would; returns the file."""
    to.mkdir(parents=True)
    done = programs.run([sys.executable, "-c", BUILD, f"build_{kind}", str(to)], cwd=source)
    return to / done.stdout.splitlines()[-1]


@functools.cache
def built() -> tuple[Path, Path, Path]:
    """A copy of the source, the sdist made of it, and the wheel made of the sdist: once for all tests."""
    if shutil.which("pip", path=str(Path(sys.executable).parent)) is None:
        raise SkipTest("pip is not installed beside the running Python")
    place = Path("packages").resolve()  # in the folder that trial runs in
    source = place / "source"
    shutil.copytree(programs.ROOT, source, ignore=NOT_SOURCE)
    sdist = build("sdist", source, place / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(place / "unpacked", filter="data")
    [unpacked] = (place / "unpacked").iterdir()
    return source, sdist, build("wheel", unpacked, place / "wheel")


class InstallTests(SynchronousTestCase):
    """Each test makes an environment of its own and asks the installed programs."""

    def environment(self) -> Path:
        """A fresh virtual environment; returns the path of its Python."""
        place = programs.folder(self) / "venv"
        programs.run([sys.executable, "-m", "venv", "--without-pip", str(place)])
        python = place / "bin" / "python"
        done = programs.run([str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
        (Path(done.stdout.strip()) / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        return python

    def installed(self, *what: str) -> Path:
        """The Python of a fresh environment into which pip installed this."""
        python = self.environment()
        pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install"]
        offline = ["--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed", "--no-index"]
        programs.run([*pip, *offline, *what], seconds=120)
        return python

    def assert_shows_all(self, python: Path, cwd: Path) -> None:
        """`twist` lists both plugins and `txlb` its strategies, seen from a folder that has nothing to do with it."""
        listed = programs.run([str(python), "-m", "twisted", "--help"], cwd=cwd).stdout
        self.assertRegex(listed, r"\btxlb\b.*load balancer")
        self.assertRegex(listed, r"\btxecho\b.*echo server")
        usage = programs.run([str(python), "-m", "twisted", "txecho", "--help"], cwd=cwd).stdout
        self.assertIn("--jitter", usage)
        strategies = programs.run([str(python), "-m", "txlb", "strategies"], cwd=cwd).stdout
        self.assertIn("round-robin", strategies)

    def assert_has_a_script(self, python: Path) -> None:
        """The `txlb` program is installed and runs."""
        done = programs.run([str(python.parent / "txlb"), "--version"])
        self.assertRegex(done.stdout, r"^txlb \d+\.\d+")

    def test_wheel(self) -> None:
        """A wheel, itself built from the unpacked sdist, so that a file that the sdist lacks is missed here."""
        python = self.installed(str(built()[2]))
        self.assert_shows_all(python, python.parent)
        self.assert_has_a_script(python)

    def test_sdist(self) -> None:
        """pip builds and installs the sdist."""
        python = self.installed(str(built()[1]))
        self.assert_shows_all(python, python.parent)
        self.assert_has_a_script(python)

    def test_editable(self) -> None:
        """An editable install shows the plugins too, which takes `package_dir` in setup.py."""
        python = self.installed("--editable", str(built()[0]))
        self.assert_shows_all(python, python.parent)
        self.assert_has_a_script(python)

    def test_checkout(self) -> None:
        """Nothing installed: from the checkout's folder all works with `python -m`."""
        self.assert_shows_all(self.environment(), built()[0])

    def test_wheel_holds_what_it_should(self) -> None:
        """The packages, the plugins, the type marker and the licence; no tests, no stale plugin cache, and no
        `__init__.py` that would hide Twisted's own plugins."""
        names = set(zipfile.ZipFile(built()[2]).namelist())
        self.assertTrue({"txlb/__init__.py", "txlb/py.typed", "txlb/cli/check.py"} <= names)
        self.assertTrue({"twisted/plugins/txlb_tap.py", "twisted/plugins/txlb_echo.py"} <= names)
        self.assertTrue(any(name.endswith("licenses/LICENSE") for name in names))
        tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
        self.assertEqual(tops, {"txlb", "twisted"})
        self.assertEqual(names & {"twisted/__init__.py", "twisted/plugins/__init__.py"}, set())
        self.assertEqual([name for name in names if name.endswith("dropin.cache")], [])

    def test_sdist_holds_what_it_should(self) -> None:
        """What one needs to build, to test and to read."""
        with tarfile.open(built()[1]) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        wanted = {"setup.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "config.yaml"}
        self.assertEqual(wanted - names, set())
        self.assertIn("tests/integration/test_install.py", names)
        self.assertIn("docs/architecture.md", names)

    def test_plugins_do_not_import_the_reactor(self) -> None:
        """`twist --reactor` must still have its say after all plugins are listed."""
        code = (
            "import sys; from twisted.application.service import IServiceMaker; from twisted.plugin import getPlugins;"
            "names = [p.tapname for p in getPlugins(IServiceMaker)]; assert {'txlb', 'txecho'} <= set(names), names;"
            "assert 'twisted.internet.reactor' not in sys.modules"
        )
        programs.run([sys.executable, "-c", code], cwd=built()[0], env={"PYTHONPATH": str(built()[0]), "PATH": ""})
