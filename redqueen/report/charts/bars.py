"""Stacked bars over steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from redqueen.report.charts.svg import (
    Frame,
    Scale,
    esc,
    nice_ticks,
    short,
    svg,
    tag,
    text_width,
)


@dataclass(frozen=True, slots=True)
class Stack:
    """One layer of all bars: value by x."""

    name: str
    values: Mapping[float, float]
    color: str


@dataclass(frozen=True, slots=True)
class BarStyle:
    """What a bar chart shows beside its bars."""

    title: str
    names: Mapping[float, str]
    """What a bar stands for ("step 3", "steps 1 to 4"), by x; bars without layers stay empty."""
    form: Callable[[float], str] = short
    x_title: str = "step"
    height: float = 250.0


def stacked_bars(stacks: Sequence[Stack], style: BarStyle, width: float) -> str:
    """Bars of stacked layers, the first at the bottom, each with a hover text."""
    xs = sorted(style.names)
    totals = {x: sum(stack.values.get(x, 0.0) for stack in stacks) for x in xs}
    high = max(totals.values(), default=0.0) * 1.05 or 1.0
    ticks = nice_ticks(0.0, high, 4)
    left = 14 + max(text_width(style.form(t), 11.5) for t in ticks)
    step = min((b - a for a, b in pairwise(xs)), default=1.0)
    first, last = (xs[0] - step / 2, xs[-1] + step / 2) if xs else (0.0, 1.0)
    frame = Frame(
        width,
        style.height,
        Scale(first, last, left, width - 8),
        Scale(0.0, high, style.height - 42, 12),
    )
    count = 4 if width < 420 else 6
    body = [
        *frame.y_axis(ticks, style.form),
        *frame.x_axis(nice_ticks(first, last, count, whole=True), style.x_title, short),
    ]
    room = frame.x(first + step) - frame.left
    bar = max(room - (1.5 if room > 5 else 0.4), 0.5)
    bar = min(bar, 64.0)
    for x in xs:
        under = 0.0
        for stack in stacks:
            value = stack.values.get(x, 0.0)
            if value <= 0:
                continue
            top, foot = frame.y(under + value), frame.y(under)
            text = f"{style.names[x]}\n{stack.name}: {style.form(value)} of {style.form(totals[x])}"
            body.append(
                tag(
                    "rect",
                    tag("title", esc(text)),
                    class_="bar",
                    x=frame.x(x) - bar / 2,
                    y=top,
                    width=bar,
                    height=max(foot - top, 0.1),
                    style=f"fill:{stack.color}",
                )
            )
            under += value
    return svg(width, style.height, style.title, body)
