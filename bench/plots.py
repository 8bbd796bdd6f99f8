"""The results as pictures: what each thing costs, what latency is added, how cost grows, what a pick takes."""

from __future__ import annotations

import math
from pathlib import Path

from attrs import define

from bench.results import Key, Results
from bench.svg import Picture, apart, decades, nice
from bench.table import OF_STRATEGIES, number

PANEL, LABEL, ROW = 480, 130, 27
COLOURS = {
    "txlb-epoll": "c0",
    "txlb-reactor": "c1",
    "haproxy": "c2",
    "nginx": "c3",
    "portforward": "c4",
    "direct": "c5",
    "haproxy-splice": "c6",
    "nginx-zone": "c6",
    "direct-again": "c5",
}


def write(results: Results, folder: Path) -> list[Path]:
    """Write each picture for which there are figures; returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {
        "cost": costs(results),
        "latency": latency(results),
        "growth": growth(results),
        "workers": workers(results),
        "pick": picks(results),
    }
    written = []
    for name, picture in drawn.items():
        if picture is not None:
            path = folder / f"{name}.svg"
            path.write_text(picture.text())
            written.append(path)
    return written


def colour(peer: str) -> str:
    """The class of a peer's colour; those of `--against` share one."""
    return COLOURS.get(peer, "c7")


def ordered(peers: list[str]) -> list[str]:
    """In the order of the legend, others last."""
    names = list(COLOURS)
    return sorted(peers, key=lambda peer: (names.index(peer) if peer in names else len(names), peer))


def costs(results: Results) -> Picture | None:
    """One panel of bars for each single figure but latency."""
    figures = [
        (scenario, metric)
        for scenario, metric in results.metrics
        if results.points(scenario, metric) == [None]
        and scenario != "latency"
        and metric != "peak"
        and not scenario.startswith("workers")
    ]
    if not figures:
        return None
    peers = [[peer for peer in ordered(results.peers(*figure)) if peer != "direct"] for figure in figures]
    heights = [64 + ROW * max(map(len, peers[n : n + 2])) for n in range(0, len(figures), 2)]
    picture = Picture(2 * PANEL + 20, 92 + sum(heights), "What each proxy costs")
    picture.word(20, 34, picture.title, "ink title")
    picture.word(20, 58, f"Processor time of the proxy itself, and its memory; less is better. {how(results)}", "soft")
    for n, figure in enumerate(figures):
        _bars(picture, results, figure, peers[n], 20 + n % 2 * PANEL, 88 + sum(heights[: n // 2]))
    return picture


def how(results: Results) -> str:
    """What bars and lines stand for."""
    rounds = results.options.get("rounds", 1)
    return f"Medians of {rounds} rounds; a thin line spans all of them." if rounds > 1 else "One round."


def _bars(
    picture: Picture, results: Results, figure: tuple[str, str], peers: list[str], left: float, top: float
) -> None:
    metric = results.metrics[figure]
    found = {peer: results.summary(Key(*figure, None, peer)) for peer in peers}
    width = PANEL - LABEL - 90
    scale = width / max([summary.high for summary in found.values() if summary] + [1e-9])
    picture.word(left, top + 18, f"{metric.title}, {metric.unit}", "ink head")
    for row, (peer, summary) in enumerate(found.items()):
        if summary is None:
            continue
        x, y = left + LABEL, top + 32 + row * ROW
        style = "ink strong" if peer.startswith("txlb") else "soft"
        picture.word(x - 10, y + 14, peer, style, "end")
        picture.bar(x, y, summary.middle * scale, ROW - 8, f"mark {colour(peer)}")
        if summary.high > summary.low:
            middle = y + (ROW - 8) / 2
            picture.line(x + summary.low * scale, middle, x + summary.high * scale, middle, "whisker")
        picture.word(x + max(summary.middle, summary.high) * scale + 8, y + 14, number(summary.middle), style)


@define
class Axes:
    """A frame whose two axes are logarithmic or have steps."""

    picture: Picture
    left: float
    top: float
    width: float
    height: float
    xs: list[float]
    ys: list[float]
    log: bool = True

    def x(self, value: float) -> float:
        """Where a value is across; always logarithmic."""
        low, high = math.log10(self.xs[0]), math.log10(self.xs[-1])
        return self.left + self.width * (math.log10(value) - low) / ((high - low) or 1)

    def y(self, value: float) -> float:
        """Where a value is in height."""
        if not self.log:
            return self.top + self.height * (1 - value / self.ys[-1])
        low, high = math.log10(self.ys[0]), math.log10(self.ys[-1])
        return self.top + self.height * (1 - (math.log10(max(value, self.ys[0])) - low) / ((high - low) or 1))

    def frame(self, names: dict[float, str], unit: str) -> None:
        """Grid lines and what they stand for."""
        for step in self.ys:
            self.picture.line(self.left, self.y(step), self.left + self.width, self.y(step))
            self.picture.word(self.left - 8, self.y(step) + 4, f"{step:,g}", "soft small", "end")
        self.picture.word(self.left - 8, self.top - 12, unit, "soft small", "end")
        for value, name in names.items():
            self.picture.word(self.x(value), self.top + self.height + 20, name, "soft small", "middle")

    def curves(self, curves: dict[str, list[tuple[float, float]]]) -> None:
        """A line for each peer, its name at its end."""
        ends = apart([self.y(points[-1][1]) for points in curves.values()], 16)
        for (peer, points), end in zip(curves.items(), ends, strict=True):
            self.picture.path([(self.x(x), self.y(y)) for x, y in points], colour(peer))
            self.picture.word(self.left + self.width + 12, end + 4, peer, f"word strong {colour(peer)}")


def latency(results: Results) -> Picture | None:
    """What each adds at each quantile; both axes logarithmic."""
    quantiles = {1.0: "p50", 10.0: "p90", 100.0: "p99", 1000.0: "p99.9"}
    curves = {}
    for peer in ordered([peer for peer in results.peers("latency", "p50") if peer != "direct"]):
        found = {x: results.summary(Key("latency", name, None, peer)) for x, name in quantiles.items()}
        curves[peer] = [(x, max(summary.middle, 1.0)) for x, summary in found.items() if summary]
    if not curves:
        return None
    values = [y for points in curves.values() for _, y in points]
    picture = Picture(860, 450, "Latency added")
    picture.word(20, 34, "Latency added, at a rate that all of them hold", "ink title")
    picture.word(20, 58, "Open loop, timed from the moment a request was due; both axes logarithmic.", "soft")
    axes = Axes(picture, 70, 105, 640, 290, list(quantiles), decades(min(values), max(values)))
    axes.frame(quantiles, "µs")
    axes.curves(curves)
    return picture


def growth(results: Results) -> Picture | None:
    """A panel for each figure that was measured at several points."""
    figures = [f for f in _grown(results) if not f[0].startswith("workers")]
    return _panels(results, figures, "How cost grows", "Processor time of the proxy itself, medians; flat is good.")


def workers(results: Results) -> Picture | None:
    """The same for numbers of workers."""
    figures = [f for f in _grown(results) if f[0].startswith("workers")]
    words = "Processor time of all processes of the proxy (flat is good), and what passes in a second; medians."
    return _panels(results, figures, "Several workers", words)


def _grown(results: Results) -> list[tuple[str, str]]:
    return [f for f in results.metrics if f[0] not in OF_STRATEGIES and len(results.points(*f)) > 1]


def _panels(results: Results, figures: list[tuple[str, str]], title: str, what: str) -> Picture | None:
    if not figures:
        return None
    picture = Picture(860, 90 + 350 * len(figures), title)
    picture.word(20, 34, title, "ink title")
    picture.word(20, 58, what, "soft")
    for n, figure in enumerate(figures):
        points = [point for point in results.points(*figure) if point]
        curves = {}
        for peer in ordered(results.peers(*figure)):
            found = {point: results.summary(Key(*figure, point, peer)) for point in points}
            curves[peer] = [(float(point), summary.middle) for point, summary in found.items() if summary]
        values = [y for curve in curves.values() for _, y in curve]
        # Peers that are ten times apart need a logarithm to be told apart at all.
        log = max(values) > 12 * min(values)
        top, words = 80 + 350 * n, results.metrics[figure]
        picture.word(20, top + 18, f"{words.title}, {words.unit}", "ink head")
        steps = decades(min(values), max(values)) if log else nice(max(values))
        axes = Axes(picture, 70, top + 50, 640, 250, [float(point) for point in points], steps, log)
        axes.frame({float(point): f"{point:,}" for point in points}, words.unit)
        axes.curves(curves)
    return picture


def picks(results: Results) -> Picture | None:
    """A row for each strategy, a dot for each size of the pool, from small to large."""
    names, sizes = results.peers("pick", "cycle"), [p for p in results.points("pick", "cycle") if p]
    if not names:
        return None
    found = {n: [results.summary(Key("pick", "cycle", size, n)) for size in sizes] for n in names}
    values = [summary.middle for row in found.values() for summary in row if summary]
    picture = Picture(860, 120 + ROW * len(names) + 30, "What a pick takes")
    picture.word(20, 34, "A pick, and the load counted up and down, ns", "ink title")
    axes = Axes(picture, 170, 92, 640, ROW * len(names), decades(min(values), max(values)), [1.0, 10.0])
    for n, size in enumerate(sizes):
        picture.dot(175 + n * 150, 60, f"c{3 - n}", 5)
        picture.word(187 + n * 150, 64, f"{size:,} backends", "soft")
    for value in axes.xs:
        picture.line(axes.x(value), 84, axes.x(value), 92 + axes.height)
        picture.word(axes.x(value), 92 + axes.height + 18, f"{value:,.0f}", "soft small", "middle")
    for row, name in enumerate(sorted(names, key=lambda name: (found[name][-1] or found[name][0]).middle)):  # type: ignore[union-attr]
        y = 92 + ROW * row + ROW / 2
        picture.word(160, y + 4, name, "ink", "end")
        picture.line(axes.left, y, axes.left + axes.width, y)
        for n, summary in reversed(list(enumerate(found[name]))):
            if summary:
                picture.dot(axes.x(summary.middle), y, f"c{3 - n}", 5 + 1.2 * n)
    return picture
