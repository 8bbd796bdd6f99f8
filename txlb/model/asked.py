"""A client that is only asked about."""

from __future__ import annotations

from attrs import frozen
from zope.interface import implementer

from txlb.interfaces import IClient


@implementer(IClient)
@frozen
class Asked:
    """No connection is made for it: `Pool.explain` is told who it would be."""

    host: str
    port: int = 0
    address: object = None
    listener: str = ""
