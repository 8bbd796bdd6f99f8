"""A small pen for SVG: text, lines, bars, and colours that can be read on a light page and on a dark one.

Everything is placed in pixels; colours are classes, which the picture's own style sheet fills in by the reader's
colour scheme.
"""

from __future__ import annotations

import math
from html import escape

from attrs import define, field

STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
.page { fill: #ffffff } .ink { fill: #1f2430 } .soft { fill: #667085 } .head { font-weight: 600; font-size: 15px }
.title { font-weight: 700; font-size: 19px } .small { font-size: 11.5px } .strong { font-weight: 600 }
.grid { stroke: #e4e7ec; stroke-width: 1 } .whisker { stroke: #1f2430; stroke-width: 1.4; opacity: .55 }
.line { fill: none; stroke-width: 2.4; stroke-linejoin: round }
.c0 { --c: #0f766e } .c1 { --c: #35a79c } .c2 { --c: #c2410c } .c3 { --c: #4f6bd8 } .c4 { --c: #8b5fbf }
.c5 { --c: #98a2b3 } .c6 { --c: #d98a5b } .c7 { --c: #b7791f }
.mark { fill: var(--c) } .line { stroke: var(--c) } .word { fill: var(--c) }
@media (prefers-color-scheme: dark) {
.page { fill: #12151c } .ink { fill: #e8eaf0 } .soft { fill: #98a2b3 } .grid { stroke: #2b303b }
.whisker { stroke: #e8eaf0 }
.c0 { --c: #2dd4bf } .c1 { --c: #17897c } .c2 { --c: #f97b3d } .c3 { --c: #8ea2ff } .c4 { --c: #c49af0 }
.c5 { --c: #7b8494 } .c6 { --c: #b86a3c } .c7 { --c: #e5b454 }
}
"""


@define
class Picture:
    """What was drawn so far; `text` of it is the file."""

    width: float
    height: float
    title: str
    parts: list[str] = field(factory=list)

    def word(self, x: float, y: float, text: str, style: str = "ink", anchor: str = "start") -> None:
        """Text on its base line at (x, y)."""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>')

    def bar(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """A rectangle whose corners are a little round."""
        size = f'width="{max(width, 1):.1f}" height="{height:.1f}"'
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="2.5" class="{style}"/>')

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str = "grid") -> None:
        """A straight line."""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def path(self, points: list[tuple[float, float]], style: str) -> None:
        """A line through points, with a dot on each."""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{joined}" class="line {style}"/>')
        for x, y in points:
            self.dot(x, y, style)

    def dot(self, x: float, y: float, style: str, radius: float = 4) -> None:
        """A filled circle."""
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="mark {style}"/>')

    def text(self) -> str:
        """The SVG file."""
        size = f'width="{self.width:.0f}" height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n"
            f'<rect width="100%" height="100%" class="page"/>\n' + "\n".join(self.parts) + "\n</svg>\n"
        )


def nice(top: float) -> list[float]:
    """Round steps from 0 to at least `top`: four to seven of them."""
    if top <= 0:
        return [0.0, 1.0]
    power = 10 ** math.floor(math.log10(top))
    step = next(factor * power for factor in (0.2, 0.5, 1, 2) if top / (factor * power) <= 6)
    return [step * n for n in range(math.ceil(top / step - 1e-9) + 1)]


def decades(low: float, high: float) -> list[float]:
    """The powers of ten from at most `low` to at least `high`, both above 0."""
    return [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high) - 1e-9) + 1)]


def apart(wanted: list[float], gap: float) -> list[float]:
    """The same heights, moved as little as needed for each to be `gap` from the next."""
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    placed = [wanted[n] for n in order]
    for _ in range(50):
        for n in range(1, len(placed)):
            lacking = gap - (placed[n] - placed[n - 1])
            if lacking > 1e-6:
                placed[n - 1] -= lacking / 2
                placed[n] += lacking / 2
    result = list(wanted)
    for n, height in zip(order, placed, strict=True):
        result[n] = height
    return result
