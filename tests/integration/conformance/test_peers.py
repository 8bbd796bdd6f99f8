"""The suite over what is not txlb: it must find the faults that are known, or it finds nothing.

Each row is a test of the suite and who passes it, as seen with HAProxy 2.6 and nginx 1.22. Any other test of the suite
may be tried on them by adding its name.
"""

from __future__ import annotations

from twisted.trial.runner import TestSuite

from tests.integration.conformance.case import ConformanceCase
from tests.integration.conformance.suite import PARTS
from tests.integration.harness import Subject
from tests.integration.peers import Direct, HAProxy, Nginx

SUBJECTS: tuple[Subject, ...] = (Direct(), HAProxy(), Nginx(), Nginx(half_close=True))

PASS: dict[str, tuple[bool | None, ...]] = {
    #                                        direct HAProxy nginx  nginx half_close on
    "test_sizes": (True, True, True, True),
    "test_slow_client": (True, True, True, True),
    "test_upload_then_digest": (True, True, False, True),
    "test_backend_half_closes_first": (True, True, False, True),
    "test_backend_reset_is_passed_on": (True, False, False, False),
    "test_client_reset_is_passed_on": (True, True, False, False),
    "test_bytes_before_reset_of_backend": (True, False, False, False),
    "test_both_full_backend_resets": (True, True, True, True),
    "test_all_backends_down": (None, False, False, False),
    "test_max_connections": (None, True, None, None),
    "test_v1": (None, True, True, True),
    "test_v2": (None, True, None, None),
}
"""None: means nothing without a proxy, or cannot be configured."""


def test_suite() -> TestSuite:
    """A test for each cell."""
    suite = TestSuite()
    for column, subject in enumerate(SUBJECTS):
        known = {test: "known" for test, row in PASS.items() if row[column] is False}
        name = subject.name.title().replace(" ", "").replace("_", "")
        case: type[ConformanceCase] = type(name, PARTS, {"__module__": __name__, "subject": subject, "fails": known})
        suite.addTests(case(test) for test, row in PASS.items() if row[column] is not None)
    return suite
