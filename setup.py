"""Packaging. What setuptools cannot take from pyproject.toml: the folder that `twist` finds plugins in.

`package_dir` makes editable installs show `twisted/plugins`, which must never hold an `__init__.py`.
"""

from setuptools import find_packages, setup

setup(
    package_dir={"": "."},
    packages=[*find_packages(include=["txlb", "txlb.*"]), "twisted.plugins"],
)
