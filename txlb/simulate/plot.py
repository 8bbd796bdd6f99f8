"""One picture that compares strategies: how long clients wait, how connections spread over time and over backends.

Above, one line a strategy: the response time that so many of the connections stay under, on scales that show the tail.
Below, a column a strategy with the same scales: the band between the idlest and the busiest backend over time, and each
backend's connections against what its weight gives it.
"""

from __future__ import annotations

import math
from textwrap import wrap

from attrs import frozen

from txlb.simulate.results import Result
from txlb.simulate.svg import Drawing, nice_step
from txlb.simulate.table import milliseconds, percent

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b5b5b", "#8c6bb1")
"""Told apart by nearly everybody (Okabe and Ito)."""

MARGIN = 28.0
AXIS = 58.0
COLUMN = 250.0
TOP = 108.0
CURVES = 230.0
BAND = 150.0
BARS = 130.0
HEADING = 62.0
LEGEND = 84.0
TAME = 8.0
"""Where one strategy lets more than so many times the connections pile up than another, both are seen on a log scale only."""

SHARES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)


@frozen
class Box:
    """Where a chart is, and the largest value of its vertical scale, which may be that of log(1 + value)."""

    x: float
    y: float
    width: float
    height: float
    most: float
    logarithmic: bool = False

    def at(self, share: float, value: float) -> tuple[float, float]:
        """The point at that share of the width with that value."""
        value = min(value, self.most)
        part = math.log1p(value) / math.log1p(self.most) if self.logarithmic else value / self.most
        return self.x + share * self.width, self.y + self.height * (1 - part)

    def ticks(self) -> list[float]:
        """Round values for grid lines, 0 first."""
        if self.logarithmic:
            return [0.0, *(value for power in range(12) if (value := 10.0**power) <= self.most)]
        step = nice_step(self.most)
        return [round(step * number, 9) for number in range(int(self.most / step + 1e-9) + 1)]


def plot(results: list[Result], subtitle: str) -> str:
    """The SVG file."""
    width = max(MARGIN * 2 + AXIS + COLUMN * len(results), 760.0)
    bands = TOP + CURVES + HEADING
    bars = bands + LEGEND + BAND + HEADING
    height = bars + LEGEND - 32 + BARS + 44
    drawing = Drawing(width, height, "Strategies compared")
    drawing.text(MARGIN, 40, "Strategies compared", "title")
    for number, words in enumerate(wrap(subtitle, int((width - 2 * MARGIN) / 6.2))):
        drawing.text(MARGIN, 60 + 15 * number, words, "quiet")
    inner = width - 2 * MARGIN - AXIS
    _curves(drawing, results, Box(MARGIN + AXIS, TOP + 20, inner - 130, CURVES - 20, 1.0))
    column = inner / len(results)
    peaks = [max((sample.most for sample in result.timeline), default=0) for result in results]
    most = max([*peaks, 1])
    logarithmic = most > TAME * max(min(peaks), 1)
    ratio = min(max([_ratio(b.share, b.fair) for r in results for b in r.backends] + [1.0]) * 1.08, 4.0)
    drawing.text(
        MARGIN, bands, "Connections at a backend over time: mean, and from the idlest to the busiest", "heading"
    )
    drawing.text(MARGIN, bars, "Connections of each backend, as a multiple of its share by weight", "heading")
    for index, result in enumerate(results):
        x, wide = MARGIN + AXIS + index * column, column - 22
        colour = COLOURS[index % len(COLOURS)]
        _band(drawing, result, Box(x, bands + LEGEND, wide, BAND, most * 1.08, logarithmic), colour, index == 0)
        _bars(drawing, result, Box(x, bars + LEGEND - 32, wide, BARS, ratio), colour, index == 0)
    return str(drawing)


def _curves(drawing: Drawing, results: list[Result], box: Box) -> None:
    drawing.text(MARGIN, TOP, "Response time that this share of connections stays under", "heading")
    seconds = [value for result in results for _, value in result.quantiles if value > 0]
    if not seconds:
        drawing.text(box.x, box.y + 40, "no connection was served, or none took any time", "quiet")
        return
    low, high = math.floor(math.log10(min(seconds)) * 2) / 2, math.log10(max(seconds)) + 0.05
    low = max(low, high - 4)

    def point(share: float, value: float) -> tuple[float, float]:
        return box.at(_tail(share), (math.log10(max(value, 10**low)) - low) / (high - low))

    for value in _round_times(low, high):
        _, y = point(0, value)
        drawing.line(box.x, y, box.x + box.width, y, "grid")
        drawing.text(box.x - 8, y + 4, milliseconds(value), "right quiet")
    for share in SHARES:
        x, _ = point(share, 1)
        drawing.line(x, box.y, x, box.y + box.height, "grid")
        drawing.text(x, box.y + box.height + 16, f"{share * 100:g} %", "middle quiet")
    labels: list[float] = []
    for index, result in sorted(enumerate(results), key=lambda pair: -(pair[1].quantiles or ((0, 0),))[-1][1]):
        if result.quantiles:
            colour = COLOURS[index % len(COLOURS)]
            points = [point(share, value) for share, value in result.quantiles]
            drawing.path(points, colour)
            y = max(points[-1][1] + 4, labels[-1] + 15) if labels else points[-1][1] + 4
            labels.append(y)
            drawing.text(box.x + box.width + 8, y, _short(result.strategy, 20), "", colour)


def _tail(share: float) -> float:
    """From 0 to 1; each further nine takes as much room as the last, so that the tail can be seen."""
    return -math.log10(1 - min(share, 0.9999)) / 4


def _round_times(low: float, high: float) -> list[float]:
    candidates = [factor * 10.0**power for power in range(-7, 8) for factor in (1, 2, 5)]
    inside = [value for value in candidates if low <= math.log10(value) <= high]
    return inside if len(inside) <= 8 else [value for value in inside if f"{value:.0e}".startswith("1")]


def _band(drawing: Drawing, result: Result, box: Box, colour: str, first: bool) -> None:
    drawing.rect(box.x, box.y - 58, 10, 10, colour, 'rx="2"')
    drawing.text(box.x + 16, box.y - 48, _short(result.strategy, 26), "heading")
    response = result.response
    drawing.text(box.x, box.y - 29, f"p50 {milliseconds(response.p50)} · p99 {milliseconds(response.p99)}", "quiet")
    drawing.text(box.x, box.y - 13, f"at most {result.concurrency_max} at once", "quiet")
    _grid(drawing, box, first)
    end = result.timeline[-1].at if result.timeline else 0.0
    if not end:
        return
    highs = [box.at(sample.at / end, sample.most) for sample in result.timeline]
    lows = [box.at(sample.at / end, sample.least) for sample in result.timeline]
    drawing.area([*highs, *reversed(lows)], colour, 0.22)
    drawing.path([box.at(sample.at / end, sample.mean) for sample in result.timeline], colour, 1.8)
    drawing.text(box.x, box.y + box.height + 15, "0 s", "quiet")
    drawing.text(box.x + box.width, box.y + box.height + 15, f"{end:.3g} s", "right quiet")


def _bars(drawing: Drawing, result: Result, box: Box, colour: str, first: bool) -> None:
    drawing.text(box.x, box.y - 27, f"unfairness {percent(result.unfairness)}", "quiet")
    drawing.text(
        box.x, box.y - 11, f"starvation {result.starvation:.1f} · elsewhere {percent(result.moved)}", "quiet"
    )  # fmt: skip
    _grid(drawing, box, first)
    count = len(result.backends)
    wide = box.width / max(count, 1)
    space = min(wide * 0.25, 6.0)
    named = max((len(backend.name) for backend in result.backends), default=0) * 6.5 < wide
    for index, backend in enumerate(result.backends):
        x, y = box.at(index / count, _ratio(backend.share, backend.fair))
        drawing.rect(x + space / 2, y, wide - space, box.y + box.height - y, colour, 'fill-opacity="0.75"')
        if named:
            drawing.text(x + wide / 2, box.y + box.height + 15, backend.name, "middle quiet")
    _, one = box.at(0, 1.0)
    drawing.line(box.x, one, box.x + box.width, one, "fair")


def _grid(drawing: Drawing, box: Box, first: bool) -> None:
    for value in box.ticks():
        _, y = box.at(0, value)
        drawing.line(box.x, y, box.x + box.width, y, "grid" if value else "axis")
        if first:
            drawing.text(box.x - 8, y + 4, f"{value:g}", "right quiet")


def _ratio(share: float, fair: float) -> float:
    return share / fair if fair else 0.0


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: max(most - 1, 1)] + "…"
