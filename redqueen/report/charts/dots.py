"""Dots with intervals, in one panel per group: the held-out result at a glance."""

from collections.abc import Sequence
from dataclasses import dataclass

from redqueen.report.charts.svg import (
    Frame,
    Scale,
    esc,
    label,
    nice_ticks,
    percent,
    svg,
    tag,
    text_width,
)


@dataclass(frozen=True, slots=True)
class Dot:
    """A rate in [0, 1] with its interval."""

    name: str
    value: float
    low: float
    high: float
    color: str
    hover: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A group of dots under one heading."""

    name: str
    dots: Sequence[Dot]


def _dot(dot: Dot, frame: Frame, y: float) -> str:
    """A dot with its interval and its figure at height `y`."""
    low, high = frame.x(dot.low), frame.x(dot.high)
    size, figure = (5.0, "direct") if dot.strong else (4.0, "tick")
    return tag(
        "g",
        tag("title", esc(dot.hover)),
        tag("line", class_="whisker", x1=low, x2=high, y1=y, y2=y, style=f"stroke:{dot.color}"),
        tag("circle", cx=frame.x(dot.value), cy=y, r=size, style=f"fill:{dot.color}"),
        label(high + 7, y + 4, percent(dot.value), class_=figure),
    )


def dot_panels(panels: Sequence[Panel], title: str, high: float, width: float) -> str:
    """Panels side by side where there is room, else below one another.

    All share the scale from 0 to a bit above `high`, the largest rate to be shown.
    """
    names = [dot.name for panel in panels for dot in panel.dots]
    gutter = 12 + max((text_width(name, 12) for name in names), default=0.0)
    high = min(1.0, 1.08 * high) or 1.0
    columns = len(panels) if width >= 700 else 1
    rows = max((len(panel.dots) for panel in panels), default=1)
    row, head, foot = 26.0, 26.0, 30.0
    block = head + rows * row + foot
    across = (width - gutter) / columns
    body: list[str] = []
    for index, panel in enumerate(panels):
        left = gutter + (index % columns) * across
        top = (index // columns) * block + head
        bottom = top + rows * row
        frame = Frame(
            width,
            block,
            Scale(0.0, high, left + 6, left + across - 44),
            Scale(0.0, 1.0, bottom, top),
        )
        body.append(label(left + 6, top - 9, panel.name, class_="name strong"))
        ticks = nice_ticks(0.0, high, 4 if across > 200 else 2)
        for tick in ticks:
            x = frame.x(tick)
            kind = "base" if tick == 0 else "grid"
            body.append(tag("line", class_=kind, x1=x, x2=x, y1=top, y2=bottom))
        body += frame.x_axis(ticks, "", percent)
        for i, dot in enumerate(panel.dots):
            y = top + (i + 0.5) * row
            if index % columns == 0:
                kind = "name end strong" if dot.strong else "name end"
                body.append(label(gutter - 4, y + 4, dot.name, class_=kind))
            body.append(_dot(dot, frame, y))
    height = block * -(-len(panels) // columns)
    return svg(width, height, title, body)
