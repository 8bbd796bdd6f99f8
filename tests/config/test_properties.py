"""Properties: what is rendered reads back equal, and no input does more than be refused."""

from __future__ import annotations

import time
from typing import Any

import attrs
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.fakes import LISTENER, POOL, read
from txlb import specs
from txlb.errors import ConfigError

steady = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For a machine that others use too: no verdict on wall-clock time."""

names = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp"), include_characters="-_.:/ "), min_size=1, max_size=12
).filter(str.strip)
durations = st.integers(1, 10**7).map(lambda milliseconds: milliseconds / 1000)
counts = st.integers(1, 10**6)
percents = st.integers(0, 100)
texts = st.sampled_from(["yes", "on", "1:30", "010", "~", "null", "a b", "#x", "{a}", "'", '"']) | names
connects = st.builds("tcp:10.0.0.{}:{}".format, st.integers(0, 255), st.integers(1, 65535))
strategy_specs = st.just(specs.StrategySpec("round-robin")) | st.builds(
    specs.StrategySpec,
    st.just("timed"),
    st.fixed_dictionaries({}, optional={"measure": st.just("connect"), "size": counts, "decay": durations}),
)
backend_specs = st.builds(
    specs.BackendSpec, names, connects, st.integers(0, 1000), st.none() | counts, st.booleans(), st.none() | connects
)
health_specs = st.builds(
    specs.HealthSpec,
    st.just("web"),
    st.fixed_dictionaries({"path": texts}, optional={"expect": counts}),
    st.none() | st.just("tcp:{host}:81"),
    durations.map(lambda seconds: seconds + 0.01),
    st.none() | durations.map(lambda seconds: seconds + 0.01),
    durations,
    st.integers(1, 1000),
    st.integers(1, 1000),
)
pool_specs = st.builds(
    specs.PoolSpec,
    name=names,
    backends=st.lists(backend_specs, min_size=1, max_size=4, unique_by=lambda one: one.name).map(tuple),
    strategy=st.lists(strategy_specs, min_size=1, max_size=2).map(tuple),
    retries=percents,
    retry_budget=st.builds(specs.RetryBudgetSpec, percents, percents),
    send_proxy=st.sampled_from(["none", "v1", "v2"]),
    queue=st.builds(specs.QueueSpec, percents, durations),
    max_connections=st.none() | counts,
    health=st.none() | health_specs,
    outliers=st.builds(specs.OutlierSpec, percents, durations, durations, percents),
    panic_threshold=percents,
    slow_start=durations,
    close_when_down=st.booleans(),
)


def _keyed(items: list[Any]) -> dict[str, Any]:
    return {item.name: item for item in items}


@st.composite
def configs(draw: st.DrawFn) -> specs.Config:
    """Any sound configuration."""
    pools = draw(st.lists(pool_specs, min_size=1, max_size=3, unique_by=lambda pool: pool.name))
    ports = st.lists(st.integers(1, 65535), unique=True, min_size=6, max_size=6)
    listen = [f"tcp:{port}:interface=127.0.0.1" for port in draw(ports)]
    listeners = [
        specs.ListenerSpec(
            name,
            tuple(listen[2 * index : 2 * index + 2]),
            draw(st.sampled_from(pools)).name,
            draw(st.sampled_from(["auto", "epoll", "reactor"])),
            draw(st.none() | counts),
            draw(st.none() | counts),
            draw(st.builds(specs.TimeoutsSpec, *[durations] * 6)),
        )
        for index, name in enumerate(draw(st.lists(names, unique=True, min_size=1, max_size=2)))
    ]
    return specs.Config(
        _keyed(listeners),
        _keyed(pools),
        draw(st.integers(0, 1024)),
        draw(durations),
        draw(st.none() | st.builds(specs.AccessLogSpec, st.none() | names.filter(str.strip), st.just("json"))),
        draw(st.none() | st.builds(specs.AdminSpec, st.just(listen[4]), st.none() | names, st.tuples(names))),
        draw(st.sampled_from([(), (listen[5],)])),
    )


def render(value: Any) -> Any:
    """A spec as the plain values of a configuration file."""
    match value:
        case specs.Config():
            plain = render_fields(value, leave={"file", "warnings"})
            return plain | {"workers": value.workers or "auto"}
        case specs.StrategySpec():
            return {"name": value.name, **value.options}
        case specs.HealthSpec():
            return render_fields(value, leave={"options"}) | dict(value.options)
        case specs.ListenerSpec() | specs.PoolSpec():
            return render_fields(value, leave={"name"})
        case tuple():
            return [render(item) for item in value]
        case str() | int() | float():
            return value
        case _ if attrs.has(type(value)):
            return render_fields(value)
    return {key: render(item) for key, item in value.items()}


def render_fields(value: Any, leave: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    """The fields that say something; None and empty lists are left away, as an operator would."""
    fields = {field.name: getattr(value, field.name) for field in attrs.fields(type(value)) if field.name not in leave}
    return {key: render(field) for key, field in fields.items() if field is not None and field != ()}


class Survives(SynchronousTestCase):
    """No input does more than be refused, and that soon."""

    def survive(self, text: str | bytes) -> None:
        """Reads, or raises ConfigError with problems of one line each; within a second either way."""
        begun = time.process_time()
        try:
            read(text)
        except ConfigError as error:
            self.assertTrue(error.problems)
            self.assertEqual(len(str(error).split("\n")), len(error.problems))
        self.assertLess(time.process_time() - begun, 1)

    @steady
    @given(st.text(max_size=300))
    def test_text(self, text: str) -> None:
        """Any text."""
        self.survive(text)

    @steady
    @given(st.binary(max_size=300))
    def test_bytes(self, data: bytes) -> None:
        """Any bytes."""
        self.survive(data)

    @steady
    @given(st.text(alphabet="ab:-,[]{}&*!|>'\"%@`?#\n\t <\\", max_size=80))
    def test_punctuation(self, text: str) -> None:
        """Any arrangement of what means something in YAML."""
        self.survive(text)
        self.survive(LISTENER + POOL + text)

    @steady
    @given(st.data(), configs())
    def test_mutations(self, data: st.DataObject, config: specs.Config) -> None:
        """A sound file with a stretch of it cut out, doubled or overwritten."""
        text = yaml.safe_dump(render(config), allow_unicode=True)
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(begin + 40, len(text))))
        middle = data.draw(
            st.sampled_from(["", text[begin:end] * 2, "-1", "[", "{", "~", ": ", "\n", "*a", "&a ", "!!x "])
        )
        self.survive(text[:begin] + middle + text[end:])

    @steady
    @given(st.data(), configs())
    def test_other_values(self, data: st.DataObject, config: specs.Config) -> None:
        """A sound file in which one value anywhere is replaced by any other."""
        plain = render(config)
        junk = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
        inside = plain
        while True:
            key = data.draw(st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside))))
            if not isinstance(inside[key], dict | list) or not inside[key] or data.draw(st.integers(0, 5)) == 0:
                break
            inside = inside[key]
        inside[key] = data.draw(
            junk | st.lists(junk, max_size=3) | st.dictionaries(st.text(max_size=5), junk, max_size=3)
        )
        self.survive(yaml.safe_dump(plain, allow_unicode=True))


class RoundTrip(SynchronousTestCase):
    """Rendering and reading are inverse."""

    @steady
    @given(configs(), st.booleans())
    def test_reads_back(self, config: specs.Config, flow: bool) -> None:
        """Any sound configuration, written as YAML in either style, reads back equal."""
        text = yaml.safe_dump(render(config), allow_unicode=True, default_flow_style=flow, sort_keys=False)
        self.assertEqual(read(text), config)

    @steady
    @given(configs())
    def test_reads_alike(self, config: specs.Config) -> None:
        """Reading the same text twice gives equal values, so that a reload of an unchanged file is nothing to do."""
        text = yaml.safe_dump(render(config))
        self.assertEqual(read(text), read(text))
