"""A heat map of rates with the sample size in each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redqueen.report.charts.svg import esc, label, percent, svg, tag


@dataclass(frozen=True, slots=True)
class Cell:
    """A rate in [0, 1] of `n` attempts, with the text to show when pointed at."""

    rate: float
    n: int
    hover: str


@dataclass(frozen=True, slots=True)
class HeatStyle:
    """Names of the axes and their entries; `faded` entries are shown pale."""

    title: str
    rows_title: str
    columns_title: str
    rows: Sequence[str]
    columns: Sequence[str]
    faded: frozenset[str] = frozenset()


def heat_map(cells: Mapping[tuple[int, int], Cell], style: HeatStyle, width: float) -> str:
    """Cells by (row, column) index; the colour runs from 0 to 100 %. Missing cells are empty."""
    left, top = 58.0, 48.0
    count = max(len(style.columns), 1)
    # Narrower cells could not hold their numbers: such a map scrolls in its container instead.
    across = min(104.0, max(46.0, (width - left - 4) / count))
    down = 44.0
    body = [
        label(left, 15, f"{style.columns_title} \u2192", class_="axis"),
        label(8, top - 9, f"{style.rows_title} \u2193", class_="axis"),
    ]
    for j, name in enumerate(style.columns):
        kind = "name mid" + (" pale" if name in style.faded else "")
        body.append(label(left + (j + 0.5) * across, top - 9, name, class_=kind))
    for i, name in enumerate(style.rows):
        y = top + i * down
        kind = "name end" + (" pale" if name in style.faded else "")
        body.append(label(left - 9, y + down / 2 + 4, name, class_=kind))
        for j in range(len(style.columns)):
            cell = cells.get((i, j))
            x = left + j * across
            box = {"x": x + 1, "y": y + 1, "width": across - 2, "height": down - 2, "rx": 3}
            if cell is None:
                body.append(tag("rect", class_="void", **box))
                continue
            share = round(100 * cell.rate)
            ink = "cell high" if cell.rate > 0.55 else "cell"
            body.append(
                tag(
                    "g",
                    tag("title", esc(cell.hover)),
                    tag(
                        "rect",
                        style=f"fill:color-mix(in oklab,var(--heat1) {share}%,var(--heat0))",
                        **box,
                    ),
                    label(x + across / 2, y + 20, percent(cell.rate), class_="mid big"),
                    label(x + across / 2, y + 34, f"n={cell.n}", class_="mid small"),
                    class_=ink,
                )
            )
    return svg(
        max(left + count * across + 4, 150.0), top + len(style.rows) * down + 4, style.title, body
    )
