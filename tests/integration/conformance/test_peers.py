"""The suite over what is not txlb: it must find the faults that are known, or it finds nothing.

The expectations are those seen with HAProxy 2.6 and nginx 1.22.
"""

from __future__ import annotations

from tests.integration.conformance.suite import conformance
from tests.integration.harness import Direct, HAProxy, Nginx

globals().update(conformance("Direct", __name__, subject=Direct()))
globals().update(conformance("HAProxy", __name__, subject=HAProxy()))
globals().update(conformance("Nginx", __name__, subject=Nginx()))
globals().update(conformance("NginxHalfClose", __name__, subject=Nginx(half_close=True)))
