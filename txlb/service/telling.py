"""What is told of a configuration when it begins to hold, or does not."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txlb.events import EventBus, Reloaded
from txlb.specs import Config


def tell_of_reload(bus: EventBus, config: Config, reload: Deferred[None]) -> Deferred[None]:
    """Tell the bus how this reload ends; its result stays what it is."""

    def done(_: None) -> None:
        bus.publish(Reloaded(True, f"{len(config.listeners)} listeners, {len(config.pools)} pools"))

    def failed(failure: Failure) -> Failure:
        bus.publish(Reloaded(False, failure.getErrorMessage()))
        return failure

    return reload.addCallbacks(done, failed)
