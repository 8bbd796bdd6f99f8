"""The state of a balancer as tables for a terminal. States are words; colour only repeats them."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from txlb.config.words import clip

_STYLES = {"up": "green", "not checked": "", "drain": "yellow", "maint": "yellow", "down": "red", "ejected": "magenta"}


def render(state: dict[str, Any]) -> RenderableType:
    """The head line, the listeners, and each pool with its backends."""
    parts: list[RenderableType] = [_head(state), Text(""), _listeners(state.get("listeners", {}))]
    for name, pool in state.get("pools", {}).items():
        parts += [Text(""), _pool_line(name, pool), _backends(pool.get("backends", {}))]
    return Group(*parts)


def word(backend: dict[str, Any]) -> str:
    """What a backend is, in one word: the operator's wish first, then what probes and traffic say."""
    if backend.get("admin") in ("drain", "maint"):
        return str(backend["admin"])
    if backend.get("health") == "down":
        return "down"
    if backend.get("outlier") == "ejected":
        return "ejected"
    return "up" if backend.get("health") == "up" else "not checked"


def size(count: float) -> str:
    """Bytes in three figures: `512`, `3.4k`, `12M`."""
    for unit in ("", "k", "M", "G", "T"):
        if count < 1000 or unit == "T":
            return f"{count:.0f}{unit}" if not unit or count >= 10 else f"{count:.1f}{unit}"
        count /= 1000
    return ""


def age(seconds: float) -> str:
    """The two largest units that matter: `42s`, `3m 5s`, `2d 4h`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days}d", f"{hours}h", f"{minutes}m", f"{rest}s"]
    first = next((i for i, count in enumerate((days, hours, minutes)) if count), 3)
    return " ".join(parts[first : first + 2])


def _head(state: dict[str, Any]) -> Text:
    now = "draining" if state.get("draining") else "ready" if state.get("ready") else "not ready"
    up = age(state.get("uptime", 0))
    text = f"txlb {state.get('version')}, {now}, up {up}, pid {state.get('pid')}, {state.get('config')}"
    return Text(clip(text, 300), "bold")


def _pool_line(name: str, pool: dict[str, Any]) -> Text:
    words = [f"pool {name}: {pool.get('strategy')}, {pool.get('open')} open"]
    if pool.get("queued"):
        words.append(f"{pool['queued']} queued")
    if pool.get("panic"):
        words.append("in panic")
    return Text(clip(", ".join(words), 300), "bold")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        left = column.endswith("<")
        table.add_column(column.rstrip("<"), justify="left" if left else "right", no_wrap=column != "why<")
    return table


def _listeners(listeners: dict[str, Any]) -> Table:
    table = _table("listener<", "listen<", "engine<", "pool<", "open", "total", "rejected")
    for name, told in listeners.items():
        listen = ", ".join(told.get("listen", ()))
        _add(table, name, listen, told.get("engine"), told.get("pool"), told["open"], told["total"], told["rejected"])
    return table


def _backends(backends: dict[str, Any]) -> Table:
    table = _table(
        "backend<", "state<", "weight", "open", "total", "failed", "in", "out", "connect", "first byte", "why<"
    )
    for name, told in backends.items():
        state = word(told)
        failed = sum(count for outcome, count in told.get("outcomes", {}).items() if outcome != "ok")
        _add(
            table,
            f"{name} (backup)" if told.get("backup") else name,
            Text(state, _STYLES[state]),
            told["weight"],
            told["open"],
            told["total"],
            failed,
            size(told["bytes_in"]),
            size(told["bytes_out"]),
            _milliseconds(told.get("connect_ms")),
            _milliseconds(told.get("first_byte_ms")),
            told.get("reason"),
        )
    return table


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"


def _add(table: Table, *cells: Any) -> None:
    table.add_row(*(cell if isinstance(cell, Text) else Text(clip(str(cell), 120)) for cell in cells))
