"""What is told of a configuration when it begins to hold, or does not."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from txlb.events import EventBus, Reloaded
from txlb.specs import Config

log = Logger()


def tell_of_reload(bus: EventBus, config: Config, reload: Deferred[None]) -> Deferred[None]:
    """Tell the bus how this reload ends; its result stays what it is."""

    def done(_: None) -> None:
        bus.publish(Reloaded(True, f"{len(config.listeners)} listeners, {len(config.pools)} pools"))

    def failed(failure: Failure) -> Failure:
        bus.publish(Reloaded(False, failure.getErrorMessage()))
        return failure

    return reload.addCallbacks(done, failed)


def tell_of_listeners(config: Config, engine: Callable[[str], str]) -> None:
    """Log what each listener has begun to do; `engine` names a listener's."""
    for spec in config.listeners.values():
        pool = config.pools[spec.pool]
        log.info(
            "{name}: listening on {listen}, engine {engine}, pool {pool} ({strategy} over {backends})",
            name=spec.name,
            listen=", ".join(spec.listen),
            engine=engine(spec.name),
            pool=pool.name,
            backends=count(len(pool.backends), "backend"),
            strategy=", ".join(strategy.name for strategy in pool.strategy),
        )


def count(number: int, what: str) -> str:
    """Such as `1 backend` or `3 backends`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
