"""What has to hold in the source for the packages made of it to work; `tests.integration.test_install` makes them."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.trial.unittest import SynchronousTestCase

import txlb
from txlb.config import parse
from txlb.interfaces import IStrategy, Measure

ROOT = Path(__file__).resolve().parents[1]


class SourceTests(SynchronousTestCase):
    """The checkout"""

    def test_twisted_stays_a_folder(self) -> None:
        """An `__init__.py` in `twisted/` or `twisted/plugins/` would make it a package of its own, hiding Twisted's."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_plugin_files_are_lines(self) -> None:
        """One import or one announcement a statement, and no import but of the makers: `twist` loads all these files
        for every program that it runs, before it has chosen a reactor."""
        files = sorted((ROOT / "twisted" / "plugins").glob("*.py"))
        self.assertGreater(len(files), 2)
        for file in files:
            for statement in ast.parse(file.read_text()).body:
                with self.subTest(file=file.name, line=statement.lineno):
                    if isinstance(statement, ast.ImportFrom):
                        self.assertIn(statement.module, ("twisted.application.service", "txlb.plugin"))
                    elif not isinstance(statement, ast.Expr):  # a docstring
                        self.assertIsInstance(statement, ast.Assign)
                        self.assertIsInstance(statement.value, ast.Call | ast.Constant)

    def test_both_services_are_found(self) -> None:
        """`twist txlb` and `twist txecho`, each with its module and a line of help."""
        makers = {maker.tapname: maker for maker in getPlugins(IServiceMaker)}
        self.assertEqual(makers["txlb"].module, "txlb.tap")
        self.assertEqual(makers["txecho"].module, "txlb.echo")
        for name in ("txlb", "txecho"):
            self.assertTrue(IPlugin.providedBy(makers[name]))
            self.assertTrue(makers[name].description)
            self.assertTrue(callable(makers[name].makeService))

    def test_version(self) -> None:
        """There is one, in one place, that packaging tools understand."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        self.assertEqual(project["tool"]["setuptools"]["dynamic"]["version"], {"attr": "txlb.__version__"})
        self.assertRegex(txlb.__version__, r"^\d+\.\d+\.\d+(\.?(a|b|rc|dev)\d+)?$")

    def test_readme_commands_are_real(self) -> None:
        """The README's set-up installs an extra that exists and a configuration that is there, and CI runs the same
        test program over the same tests."""
        readme = (ROOT / "README.md").read_text()
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        [extra] = set(re.findall(r"pip install -e '\.\[(\w+)\]'", readme))
        self.assertIn(extra, project["optional-dependencies"])
        [config] = set(re.findall(r"twist txlb --config (\S+\.yaml)", readme))
        self.assertTrue((ROOT / config).is_file())
        self.assertRegex(readme, r"bin/trial tests\b")
        self.assertIn(f"install -q -e '.[{extra}]'", (ROOT / ".ci" / "run").read_text())

    def test_readme_strategy_works(self) -> None:
        """The strategy in the README is one: it follows the fastest answer and skips what is excluded."""
        [code] = re.findall(r"```python\n(.*?class Fastest.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        names: dict[str, Any] = {}
        exec(code, names)
        strategy = names["Fastest"]()
        self.assertTrue(IStrategy.providedBy(strategy))
        slow, fast = object(), object()
        strategy.rebuild((slow, fast))
        strategy.measured(slow, Measure.FIRST_BYTE, 0.2)
        strategy.measured(fast, Measure.FIRST_BYTE, 0.1)
        self.assertIs(strategy.pick(None), fast)
        self.assertIs(strategy.pick(None, exclude={fast}), slow)
        strategy.rebuild((slow,))
        self.assertIs(strategy.pick(None), slow)
        self.assertIsNone(strategy.pick(None, exclude={slow}))

    def test_readme_configurations_are_valid(self) -> None:
        """What the README shows can be copied: the first example as it is, later ones added to it."""
        whole, *parts = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        parse(whole, "README.md")
        for part in parts:
            parse(whole + part, "README.md")

    def test_every_room_is_a_package(self) -> None:
        """A folder without an `__init__.py` would be left out of the wheel."""
        modules = {file.parent for file in (ROOT / "txlb").rglob("*.py")}
        self.assertEqual([folder for folder in sorted(modules) if not (folder / "__init__.py").is_file()], [])
