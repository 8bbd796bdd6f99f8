"""Packaging. The plugin file goes into the folder that Twisted looks in; there must be no `__init__.py` in it."""

from setuptools import setup

setup(
    name="txlb-sticky-example",
    version="1.0",
    description="An example of a balancing strategy for txlb",
    package_dir={"": "."},
    packages=["txlb_sticky_example", "twisted.plugins"],
    install_requires=["txlb"],
    python_requires=">=3.11",
)
