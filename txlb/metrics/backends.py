"""The lines of backends.

Each backend has some fifty series, and there may be a thousand of them. prometheus_client takes 5 µs for a sample, a
quarter of a second in all; here a backend's lines in one family are one template, made when the backend is first
seen, and one `%`. The format is the classic text format 0.0.4, whose lines of one family have to stand together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from attrs import frozen

from txlb.model.histogram import BOUNDS
from txlb.model.states import AdminState, HealthState, OutlierState

Figures = Mapping[str, Any]
Series = Callable[[str], str]
Read = Callable[[Figures, Figures], Any]


@frozen
class Family:
    """One metric of backends. `lines(labels)` is the `%` template of a backend's lines, `read(state, measured)` what
    fills it: both as in `IControl.state` and `IControl.measurements`."""

    name: str
    kind: str
    help: str
    lines: Series
    read: Read

    def head(self) -> str:
        """The two lines before the samples."""
        return f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.kind}\n"


def number(name: str, kind: str, help: str, read: Callable[[Figures], Any]) -> Family:
    """One sample for each backend, out of the state."""
    return Family(name, kind, help, lambda labels: f"{name}{{{labels}}} %s\n", lambda state, _: read(state))


def one_of(name: str, help: str, states: type, key: str) -> Family:
    """A sample for each possible state: 1 for the one that it is in."""
    values = [str(state.value) for state in states]  # type: ignore[attr-defined]

    def lines(labels: str) -> str:
        return "".join(f'{name}{{{labels},state="{value}"}} %d\n' for value in values)

    flags = {value: tuple(int(value == other) for other in values) for value in values}
    return Family(name, "gauge", help, lines, lambda state, _: flags[state[key]])


def histogram(name: str, help: str, key: str, bounds: tuple[float, ...]) -> Family:
    """Cumulative buckets, fewer than are counted; each of `bounds` is one of the counted ones."""
    slots = [BOUNDS.index(bound) for bound in bounds]

    def lines(labels: str) -> str:
        buckets = "".join(f'{name}_bucket{{{labels},le="{bound!r}"}} %d\n' for bound in bounds)
        return (
            f'{buckets}{name}_bucket{{{labels},le="+Inf"}} %d\n{name}_sum{{{labels}}} %r\n{name}_count{{{labels}}} %d\n'
        )

    def read(_: Figures, measured: Figures) -> Any:
        counts, total = measured[key]
        upto = list(accumulate(counts))
        return (*[upto[slot] for slot in slots], upto[-1], total, upto[-1])

    return Family(name, "histogram", help, lines, read)


CONNECT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
FIRST_BYTE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
DURATION = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, 100.0, 300.0, 1000.0, 3600.0)

FAMILIES = (
    number("txlb_backend_open_connections", "gauge", "Connections open or being dialled.", lambda s: s["open"]),
    number("txlb_backend_connections_total", "counter", "Connections given to the backend.", lambda s: s["total"]),
    number(
        "txlb_backend_received_bytes_total", "counter", "Bytes from clients to the backend.", lambda s: s["bytes_in"]
    ),
    number("txlb_backend_sent_bytes_total", "counter", "Bytes from the backend to clients.", lambda s: s["bytes_out"]),
    number("txlb_backend_weight", "gauge", "Weight as configured or set by an operator.", lambda s: s["weight"]),
    number(
        "txlb_backend_effective_weight",
        "gauge",
        "Weight with slow start, in the unit of txlb_backend_weight.",
        lambda s: s["effective_weight"] / 100,
    ),
    number(
        "txlb_backend_eligible", "gauge", "Whether new connections may go there.", lambda s: int(bool(s["eligible"]))
    ),
    one_of("txlb_backend_admin_state", "What the operator wants of it.", AdminState, "admin"),
    one_of("txlb_backend_health_state", "What its health checks say.", HealthState, "health"),
    one_of("txlb_backend_outlier_state", "What traffic showed.", OutlierState, "outlier"),
    Family(
        "txlb_backend_checks_total",
        "counter",
        "Health checks by their result.",
        lambda labels: "".join(
            f'txlb_backend_checks_total{{{labels},result="{result}"}} %d\n' for result in ("passed", "failed")
        ),
        lambda state, _: (state["checks"]["passed"], state["checks"]["failed"]),
    ),
    histogram("txlb_backend_connect_seconds", "Time to connect.", "connect", CONNECT),
    histogram("txlb_backend_first_byte_seconds", "From the dial to the first byte.", "first_byte", FIRST_BYTE),
    histogram("txlb_backend_duration_seconds", "Whole duration of connections.", "duration", DURATION),
)

OUTCOMES = "txlb_backend_outcomes_total"
OUTCOMES_HEAD = (
    f"# HELP {OUTCOMES} Connections and attempts by how they ended; one that never occurred is left out, but for ok.\n"
    f"# TYPE {OUTCOMES} counter\n"
)


def label(value: str) -> str:
    """Text as it stands between the quotes of a label."""
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return escaped.encode("utf-8", "replace").decode("utf-8")


class BackendLines:
    """Renders backends, and remembers their templates until `forget`."""

    def __init__(self) -> None:
        self._templates: dict[tuple[str, str], tuple[str, list[str]]] = {}

    def steps(self, state: Figures, measured: Figures, into: list[str]) -> Iterator[None]:
        """Append the lines of all backends, by family, a backend a step."""
        rows: list[Any] = []
        yield from self._read_all(state, measured, rows)
        for position, family in enumerate(FAMILIES):
            into.append(family.head())
            read = family.read
            for templates, shown, figures in rows:
                into.append(templates[1][position] % read(shown, figures))
                yield
        into.append(OUTCOMES_HEAD)
        for templates, shown, _ in rows:
            for outcome, count in shown["outcomes"].items():
                if count or outcome == "ok":
                    into.append(f'{OUTCOMES}{{{templates[0]},outcome="{outcome}"}} {count}\n')
            yield

    def _read_all(self, state: Figures, measured: Figures, rows: list[Any]) -> Iterator[None]:
        known, self._templates = self._templates, {}
        for pool_name, pool in state["pools"].items():
            figures = measured["pools"].get(pool_name, {}).get("backends", {})
            for name, shown in pool["backends"].items():
                if name in figures:  # else it came between the two readings
                    key = pool_name, name
                    templates = self._templates[key] = known.get(key) or _templates(*key)
                    rows.append((templates, shown, figures[name]))
                yield


def _templates(pool: str, backend: str) -> tuple[str, list[str]]:
    labels = f'pool="{label(pool)}",backend="{label(backend)}"'
    escaped = labels.replace("%", "%%")
    return labels, [family.lines(escaped) for family in FAMILIES]
