"""The suite as a whole, for one subject."""

from __future__ import annotations

from typing import Any

from tests.integration.conformance.closing import Closing
from tests.integration.conformance.limits import Limits
from tests.integration.conformance.messages import Messages
from tests.integration.conformance.orders import Orders
from tests.integration.conformance.proxy_header import ProxyHeader
from tests.integration.conformance.resets import Resets

PARTS = (Messages, Closing, Resets, Orders, Limits, ProxyHeader)


def conformance(prefix: str, module: str, **attributes: Any) -> dict[str, type]:
    """A test class for each part, by name, for a module's namespace; `attributes` are as in `ConformanceCase`."""
    names = {f"{prefix}{part.__name__}": part for part in PARTS}
    return {
        name: type(name, (part,), {"__module__": module, "__doc__": part.__doc__, **attributes})
        for name, part in names.items()
    }
