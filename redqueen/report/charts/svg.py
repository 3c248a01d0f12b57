"""Building blocks of the charts: escaped elements, scales, ticks, text widths.

Everything is XML as well as HTML, so that a test can parse the page strictly. Colours are CSS
variables (`var(--c1)` …), which is how one drawing serves the light and the dark theme.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

# XML has no way to write these, and they have no shape to show.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def esc(text: object) -> str:
    """Text made safe for element content and double-quoted attributes.

    Control characters and lone surrogates become visible escapes such as \\x00.
    """
    plain = _CONTROL.sub(
        lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", str(text)
    )
    return escape(plain, quote=True)


def number(value: float) -> str:
    """A coordinate: at most one decimal."""
    text = f"{value:z.1f}"
    return text[:-2] if text.endswith(".0") else text


def tag(element: str, /, *children: str, **attributes: object) -> str:
    """An element. Children are markup; attribute values are escaped; `class_` is `class`."""
    parts = [element]
    for key, value in attributes.items():
        if value is not None:
            shown = number(value) if isinstance(value, float) else str(value)
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{esc(shown)}"')
    opening = " ".join(parts)
    return f"<{opening}>{''.join(children)}</{element}>" if children else f"<{opening}/>"


def label(x: float, y: float, text: object, /, **attributes: object) -> str:
    """A text element."""
    return tag("text", esc(text), x=float(x), y=float(y), **attributes)


def svg(width: float, height: float, title: str, body: Sequence[str]) -> str:
    """The drawing as a whole: scales to its container, at most to its own size and a bit."""
    return tag(
        "svg",
        tag("title", esc(title)),
        *body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=number(width),
        height=number(height),
        role="img",
        aria_label=title,
    )


def text_width(text: str, size: float = 12.0) -> float:
    """A generous estimate of the width of text in a proportional sans-serif face."""
    return len(text) * size * 0.62


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a data value."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)


def nice_ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """About `count` round numbers (1, 2, 2.5, 5 times a power of ten) within [low, high]."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    steps = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next((m * power for m in steps if m * power >= rough * (1 - 1e-9)), 10 * power)
    if whole:
        step = max(1.0, round(step))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def percent(value: float) -> str:
    """A share as per cent without decimals."""
    return f"{100 * value:z.0f}%"


def short(value: float) -> str:
    """A plain number with as many decimals as it needs, at most two."""
    return f"{value:z,.2f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:.1e}"


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area of a chart with axes."""

    width: float
    height: float
    x: Scale
    y: Scale

    @property
    def left(self) -> float:
        """Left edge in pixels."""
        return self.x.start

    @property
    def right(self) -> float:
        """Right edge in pixels."""
        return self.x.end

    @property
    def top(self) -> float:
        """Upper edge in pixels."""
        return self.y.end

    @property
    def bottom(self) -> float:
        """Lower edge in pixels."""
        return self.y.start

    def y_axis(self, ticks: Sequence[float], form: Callable[[float], str]) -> list[str]:
        """Hairlines across the area with a number at the left of each."""
        parts = []
        for tick in ticks:
            y = self.y(tick)
            kind = "base" if y >= self.bottom - 0.5 else "grid"
            parts.append(tag("line", class_=kind, x1=self.left, x2=self.right, y1=y, y2=y))
            parts.append(label(self.left - 7, y + 4, form(tick), class_="tick end"))
        return parts

    def x_axis(self, ticks: Sequence[float], title: str, form: Callable[[float], str]) -> list[str]:
        """Numbers below the area; the title stands left of them, on the same line."""
        parts = [
            label(self.x(tick), self.bottom + 17, form(tick), class_="tick mid") for tick in ticks
        ]
        if title:
            middle = (self.left + self.right) / 2
            parts.append(label(middle, self.bottom + 34, title, class_="axis mid"))
        return parts


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart to at least `gap`, within [low, high], keeping their order."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed: list[float] = []
    for i in order:
        floor = placed[-1] + gap if placed else low
        placed.append(max(wanted[i], floor))
    ceiling = high
    for k in reversed(range(len(placed))):
        placed[k] = min(placed[k], ceiling)
        ceiling = placed[k] - gap
    result = [0.0] * len(wanted)
    for k, i in enumerate(order):
        result[i] = placed[k]
    return result
