"""The tests mirror `txlb`; those with real sockets and processes are in `tests.integration`."""

from hypothesis import HealthCheck, settings

# A busy machine is slow, which says nothing about the code; and a run leaves no examples behind in the checkout.
settings.register_profile("txlb", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("txlb")
