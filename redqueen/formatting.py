"""Amounts in words, as pages and the terminal show them."""

from collections.abc import Mapping

BACKGROUND = "beside/"
"""Begins the name of a phase of a step that goes on at the same time as others."""


KEPT = frozenset("\t\n\xa0\u3000\u200c\u200d")
"""White space and joiners of letters, which texts need; `str.isprintable` takes them for odd."""


def visible(text: str) -> str:
    """Return text as a terminal may show it: characters without a shape, and those that steer the
    terminal or turn the direction of text, become escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in KEPT else ascii(c)[1:-1] for c in text)


def plural(count: int, word: str) -> str:
    """`1 step`, `2,000 steps`."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def points(value: float, signed: bool = False, scale: float = 100.0, digits: int = 1) -> str:
    """Return a share in points, `12.3` or `+12.3`, or another value times `scale`; never `-0.0`."""
    return f"{scale * value:{'+' if signed else ''}z.{digits}f}"


def span(
    low: float, high: float, signed: bool = False, scale: float = 100.0, digits: int = 1
) -> str:
    """Return the ends of an interval likewise: `1.2 to 3.4`."""
    return f"{points(low, signed, scale, digits)} to {points(high, signed, scale, digits)}"


def duration(seconds: float) -> str:
    """`4.2 s`, `48 s`, `9 min 12 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def step_seconds(seconds: Mapping[str, float]) -> float:
    """Return the wall clock of a step from its phases; what went on beside them is left out."""
    return sum(value for phase, value in seconds.items() if not phase.startswith(BACKGROUND))
