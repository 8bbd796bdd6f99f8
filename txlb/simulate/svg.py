"""Just enough SVG: shapes with two digits after the point, escaped text, and one style sheet."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

STYLE = """
text { font-family: system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; font-size: 12px; fill: #3b424a }
.title { font-size: 20px; font-weight: 600; fill: #14181d }
.heading { font-size: 14px; font-weight: 600; fill: #14181d }
.quiet { fill: #78818b; font-size: 11px }
.right { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #e4e7eb; stroke-width: 1 }
.fair { stroke: #14181d; stroke-width: 1; stroke-dasharray: 3 3 }
.axis { stroke: #aab2bb; stroke-width: 1 }
"""


class Drawing:
    """Collects shapes; `str()` is the whole file."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._size = (width, height)
        self._title = title
        self._parts: list[str] = []

    def rect(self, x: float, y: float, width: float, height: float, fill: str, extra: str = "") -> None:
        """A filled rectangle; `extra` are further attributes."""
        self._parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}" {extra}/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line of a class of the style sheet."""
        self._parts.append(f'<line x1="{x1:.2f}" y1="{y1:.2f}" x2="{x2:.2f}" y2="{y2:.2f}" class="{kind}"/>')

    def path(self, points: Iterable[tuple[float, float]], colour: str, width: float = 2.0) -> None:
        """An open line through the points."""
        d = " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        look = f'fill="none" stroke="{colour}" stroke-width="{width:g}" stroke-linejoin="round" stroke-linecap="round"'
        self._parts.append(f'<path d="M{d}" {look}/>')

    def area(self, points: Iterable[tuple[float, float]], colour: str, opacity: float) -> None:
        """A filled shape through the points."""
        d = " L".join(f"{x:.2f} {y:.2f}" for x, y in points)
        self._parts.append(f'<path d="M{d}Z" fill="{colour}" fill-opacity="{opacity:g}"/>')

    def text(self, x: float, y: float, words: str, kind: str = "", colour: str = "") -> None:
        """Words of a class of the style sheet."""
        style = f' style="fill:{colour}"' if colour else ""
        self._parts.append(f'<text x="{x:.2f}" y="{y:.2f}" class="{kind}"{style}>{escape(words)}</text>')

    def __str__(self) -> str:
        width, height = self._size
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        head += f'height="{height:g}" role="img"><title>{escape(self._title)}</title><style>{STYLE}</style>'
        paper = f'<rect width="{width:g}" height="{height:g}" rx="10" fill="#ffffff"/>'
        return "\n".join([head, paper, *self._parts, "</svg>\n"])


def nice_step(most: float, steps: int = 4) -> float:
    """A round distance between grid lines, 1, 2 or 5 times a power of ten, so that about `steps` fit under `most`."""
    rough = max(most, 1e-12) / steps
    power = 1.0
    while power > rough:
        power /= 10
    while power * 10 <= rough:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
