"""Line charts with bands and labels at the ends of the lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redqueen.report.charts.svg import (
    Frame,
    Scale,
    esc,
    label,
    nice_ticks,
    number,
    short,
    spread,
    svg,
    tag,
    text_width,
)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: `points` by rising x; not-a-number breaks the line."""

    name: str
    points: Sequence[Point]
    color: str
    band: Sequence[tuple[float, float, float]] = ()
    """(x, low, high), drawn as a light area."""
    label: str | None = None
    """Text at the end of the line; None: no label."""
    faded: bool = False
    """Drawn thin and pale: context, not subject."""
    ended: bool = False
    """Ends in a cross (a member that died)."""


@dataclass(frozen=True, slots=True)
class LineStyle:
    """What a line chart shows beside its lines."""

    title: str
    x_title: str = "step"
    form: Callable[[float], str] = short
    low: float | None = None
    """Lower end of the y axis; None: from the data."""
    high: float | None = None
    height: float = 250.0
    whole_y: bool = False


def _segments(points: Sequence[Point]) -> list[list[Point]]:
    parts: list[list[Point]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            parts[-1].append((x, y))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _path(points: Sequence[Point], frame: Frame) -> str:
    return "M" + "L".join(f"{number(frame.x(x))} {number(frame.y(y))}" for x, y in points)


def _line(series: Series, frame: Frame) -> list[str]:
    parts = []
    style = "line faded past" if series.ended else "line faded" if series.faded else "line"
    for points in _segments(series.points):
        if len(points) == 1:
            x, y = points[0]
            parts.append(
                tag("circle", cx=frame.x(x), cy=frame.y(y), r=3.0, style=f"fill:{series.color}")
            )
        else:
            parts.append(
                tag(
                    "path",
                    tag("title", esc(series.name)),
                    class_=style,
                    d=_path(points, frame),
                    style=f"stroke:{series.color}",
                )
            )
    return parts


def _cross(x: float, y: float, color: str) -> str:
    d = f"M{number(x - 3)} {number(y - 3)}l6 6m0-6l-6 6"
    return tag("path", class_="cross", d=d, style=f"stroke:{color}")


def _bands(series: Series, frame: Frame) -> list[str]:
    """The band as far as the axis goes: an interval of a share may leave what shares can be."""
    least, most = frame.y.low, frame.y.high
    known = [
        (x, max(lo, least), min(hi, most))
        for x, lo, hi in series.band
        if math.isfinite(lo) and math.isfinite(hi)
    ]
    if len(known) < 2:
        return []
    outline = [(x, hi) for x, _, hi in known] + [(x, lo) for x, lo, _ in reversed(known)]
    return [tag("path", class_="band", d=_path(outline, frame) + "Z", style=f"fill:{series.color}")]


def _ends(series: Sequence[Series], frame: Frame) -> list[str]:
    """Labels right of the lines' ends, moved apart where they would overlap."""
    parts: list[str] = []
    labelled: list[tuple[Series, Point]] = []
    for line in series:
        finite = [(x, y) for x, y in line.points if math.isfinite(y)]
        if not finite:
            continue
        if line.ended:
            parts.append(_cross(frame.x(finite[-1][0]), frame.y(finite[-1][1]), line.color))
        if line.label is not None:
            labelled.append((line, finite[-1]))
    wanted = [frame.y(y) for _, (_, y) in labelled]
    for (line, (x, y)), at in zip(
        labelled, spread(wanted, 14, frame.top, frame.bottom), strict=True
    ):
        style = f"fill:{line.color}"
        if not line.ended:
            parts.append(tag("circle", cx=frame.x(x), cy=frame.y(y), r=2.6, style=style))
        parts.append(label(frame.right + 9, at + 4, line.label, class_="direct", style=style))
    return parts


def _strips(series: Sequence[Series], frame: Frame, style: LineStyle) -> list[str]:
    """Invisible columns that name all values at an x when pointed at."""
    at: dict[float, list[str]] = {}
    for line in series:
        if line.faded:
            continue
        for x, y in line.points:
            if math.isfinite(y):
                at.setdefault(x, []).append(f"{line.name}: {style.form(y)}")
    xs = sorted(at)
    parts = []
    for i, x in enumerate(xs):
        here = frame.x(x)
        left = (frame.x(xs[i - 1]) + here) / 2 if i else frame.left
        right = (frame.x(xs[i + 1]) + here) / 2 if i + 1 < len(xs) else frame.right
        text = "\n".join([f"{style.x_title} {short(x)}", *at[x]])
        parts.append(
            tag(
                "rect",
                tag("title", esc(text)),
                class_="strip",
                x=left,
                y=frame.top,
                width=max(right - left, 0.1),
                height=frame.bottom - frame.top,
            )
        )
    return parts


def _y_range(series: Sequence[Series], style: LineStyle) -> tuple[float, float]:
    values = [y for line in series for _, y in line.points if math.isfinite(y)]
    values += [v for line in series for _, *ends in line.band for v in ends if math.isfinite(v)]
    low = style.low if style.low is not None else min(values, default=0.0)
    high = style.high if style.high is not None else max(values, default=1.0)
    if high <= low:
        return low - (0.5 if style.low is None else 0.0), low + (0.5 if style.low is None else 1.0)
    pad = 0.06 * (high - low)
    return (
        low if style.low is not None else low - pad,
        high if style.high is not None else high + pad,
    )


def line_chart(series: Sequence[Series], style: LineStyle, width: float) -> str:
    """Lines over x with light bands, direct labels and a hover text for every x."""
    xs = [x for line in series for x, _ in line.points]
    first, last = (min(xs), max(xs)) if xs else (0.0, 1.0)
    if first == last:
        first, last = first - 0.5, last + 0.5
    low, high = _y_range(series, style)
    ticks = nice_ticks(low, high, 4, style.whole_y)
    if style.low is None and len(ticks) > 1:
        # Start on a round number, so that the lowest line of the chart has one.
        ticks = [round(2 * ticks[0] - ticks[1], 10), *ticks] if ticks[0] > low else ticks
        low = ticks[0]
    left = 14 + max(text_width(style.form(t), 11.5) for t in ticks)
    labels = [text_width(line.label, 12.5) for line in series if line.label is not None]
    right = width - (max(labels) + 16 if labels else 8)
    bottom = style.height - (42 if style.x_title else 24)
    frame = Frame(
        width, style.height, Scale(first, last, left, right), Scale(low, high, bottom, 12)
    )
    count = 4 if width < 420 else 6
    body = [
        *frame.y_axis(ticks, style.form),
        *frame.x_axis(nice_ticks(first, last, count, whole=True), style.x_title, short),
    ]
    ordered = sorted(series, key=lambda line: not line.faded)
    body += [part for line in ordered for part in _bands(line, frame)]
    body += _strips(series, frame, style)
    body += [part for line in ordered for part in _line(line, frame)]
    body += _ends(ordered, frame)
    return svg(width, style.height, style.title, body)
