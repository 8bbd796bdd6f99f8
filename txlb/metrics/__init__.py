"""What Prometheus scrapes.

    tally       events counted by what they concern
    process     the event loop's lag, sampled
    families    everything of which there is little: through prometheus_client
    backends    the lines of backends, of which there may be very many
    rendering   one scrape: all of these, in slices

Nothing is prepared on the way of a connection. The pools count in plain integers anyway; a scrape reads them.
"""

from txlb.metrics.rendering import Metrics

__all__ = ["Metrics"]
