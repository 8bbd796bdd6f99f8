"""What only the running system can say of a configuration: Twisted's word on endpoint strings, and the files it names.

These are validators for `txlb.config`: each gets a sound `Config` and yields what is wrong, with its place. Nothing is
bound, dialled or created. `twist txlb` and `txlb check` load through `load_checked`, a reload does so in turns with the
rest of the reactor's work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool

from txlb import registry
from txlb.access_log import check_format
from txlb.clock import SteadyClock, in_slices
from txlb.config import Draft, Place, Validator, check_target, draft, load, path_of
from txlb.config.source import read_text
from txlb.errors import Problem
from txlb.service.engines import Engines
from txlb.service.limits import RESERVED, descriptor_limit
from txlb.specs import Config, ListenerSpec, PoolSpec

Builder = Callable[[Any, str], Any]


def load_checked(path: str, reactor: Any) -> Config:
    """The configuration at `path`, checked as far as is possible without starting it; raises ConfigError."""
    return load(path, validators(reactor), advisers=ADVISERS)


@inlineCallbacks
def load_in_turns(path: str, reactor: Any, clock: IReactorTime) -> Any:
    """The same, while the reactor runs: a Deferred. The file is read in a thread; what it names is judged in the
    reactor's, since plugins and Twisted's endpoints may expect no other, a few milliseconds at a time."""
    strategies, health_checks = registry.strategies(), registry.health_checks()

    def read() -> Draft:
        return draft(read_text(path), path, strategies, health_checks)

    made = yield deferToThreadPool(reactor, reactor.getThreadPool(), read)
    yield in_slices(clock, made.judge(validators(reactor), ADVISERS))
    return made.settle()


def validators(reactor: Any) -> list[Validator]:
    """All of them."""
    return [endpoints_of(reactor), engines_of(reactor), workers, token_file, access_log, access_log_format]


def endpoints_of(reactor: Any) -> Validator:
    """Twisted can make an endpoint of each endpoint string."""

    def validate(config: Config, place: Place) -> Iterator[Problem | None]:
        for build, path, description in _descriptions(config):
            yield None
            if description.startswith("systemd:"):
                continue  # such sockets are there for the process that systemd starts, not for a check from a shell
            try:
                build(reactor, description)
            except Exception as error:  # endpoint types are plugins, and certificates are read here
                yield place(path)(f"Twisted cannot use {description!r}: {str(error) or type(error).__name__}")

    return validate


def engines_of(reactor: Any) -> Validator:
    """An engine that was asked for can serve the listener and all that its pool dials."""

    def validate(config: Config, place: Place) -> Iterator[Problem]:
        engines = Engines(reactor, SteadyClock(reactor))
        for name, listener in config.listeners.items():
            connects = [backend.connect for backend in config.pools[listener.pool].backends]
            if objection := engines.objection(listener, connects):
                yield place(path_of("listeners", name, "engine"))(objection)

    return validate


def workers(config: Config, place: Place) -> Iterator[Problem]:
    """Several workers can share what is listened on."""
    if config.workers == 1:
        return
    from txlb.service.shared_ports import objection  # what one process has no use for

    for name, listener in config.listeners.items():
        for index, description in enumerate(listener.listen):
            if wrong := objection(description):
                yield place(f"{path_of('listeners', name)}.listen[{index}]")(wrong)
    for index, description in enumerate(config.echo):
        if wrong := objection(description):
            yield place(path_of("echo", index))(wrong)


def token_file(config: Config, place: Place) -> Iterator[Problem]:
    """The admin's token can be read, and there is one."""
    if config.admin is None or config.admin.token_file is None:
        return
    file = Path(config.admin.token_file)
    wrong = place(path_of("admin", "token_file"))
    try:
        if not file.is_file() and file.exists():
            yield wrong(f"{file} is not an ordinary file")
        elif not file.read_bytes().strip():
            yield wrong(f"{file} holds no token")
    except OSError as error:
        yield wrong(f"{file} cannot be read: {error.strerror or error}")


def access_log(config: Config, place: Place) -> Iterator[Problem]:
    """The access log can be written, or made in its folder."""
    if config.access_log is None or config.access_log.file is None:
        return
    file = Path(config.access_log.file)
    wrong = place(path_of("access_log", "file"))
    if file.is_dir():
        yield wrong(f"{file} is a directory")
    elif file.exists():
        if not os.access(file, os.W_OK):
            yield wrong(f"{file} cannot be written")
    elif not file.parent.is_dir():
        yield wrong(f"there is no folder {file.parent}")
    elif not os.access(file.parent, os.W_OK | os.X_OK):
        yield wrong(f"no file can be made in the folder {file.parent}")


def access_log_format(config: Config, place: Place) -> Iterator[Problem]:
    """The access log's format names fields that there are."""
    if config.access_log is not None and (wrong := check_format(config.access_log.format)) is not None:
        yield place(path_of("access_log", "format"))(wrong)


def connections(config: Config, place: Place) -> Iterator[Problem]:
    """No listener is allowed more connections than there can be. Only a warning: the service may have other limits."""
    descriptors = descriptor_limit()
    most = max(descriptors - RESERVED, 0) // 2 * (config.workers or os.cpu_count() or 1)
    for name, listener in config.listeners.items():
        if listener.max_connections is not None and listener.max_connections > most:
            has = f"the open-file limit of {descriptors:,} allows {most:,}"
            yield place(path_of("listeners", name, "max_connections"))(f"more than there can be; {has}")


ADVISERS: tuple[Validator, ...] = (connections,)
"""Validators whose words are warnings."""


def _descriptions(config: Config) -> Iterator[tuple[Builder, str, str]]:
    for name, listener in config.listeners.items():
        yield from _of_listener(listener, path_of("listeners", name))
    for name, pool in config.pools.items():
        yield from _of_pool(pool, path_of("pools", name))
    if config.admin is not None:
        yield serverFromString, path_of("admin", "listen"), config.admin.listen
    for index, description in enumerate(config.echo):
        yield serverFromString, path_of("echo", index), description


def _of_listener(listener: ListenerSpec, path: str) -> Iterator[tuple[Builder, str, str]]:
    for index, description in enumerate(listener.listen):
        yield serverFromString, f"{path}.listen[{index}]", description


def _of_pool(pool: PoolSpec, path: str) -> Iterator[tuple[Builder, str, str]]:
    for index, backend in enumerate(pool.backends):
        yield clientFromString, f"{path}.backends[{index}].connect", backend.connect
        if backend.check_connect is not None:
            yield clientFromString, f"{path}.backends[{index}].check_connect", backend.check_connect
    if pool.health is not None and pool.health.connect is not None and pool.backends:
        yield clientFromString, f"{path}.health.connect", check_target(pool.backends[0].connect, pool.health.connect)
