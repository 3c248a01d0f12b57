"""The lineage tree: a life line for every member, from birth to death, joined to its parents."""

from collections.abc import Sequence
from dataclasses import dataclass

from redqueen.report.charts.svg import (
    Frame,
    Scale,
    esc,
    label,
    nice_ticks,
    number,
    short,
    svg,
    tag,
    text_width,
)

ROW = 21.0


@dataclass(frozen=True, slots=True)
class Life:
    """One member's line; `color` is that of its role."""

    id: int
    born: float
    died: float | None
    parents: tuple[int, ...]
    label: str
    hover: str
    color: str


def tree_order(lives: Sequence[Life]) -> list[Life]:
    """Founders by id, each followed by its children (by first parent), depth first."""
    known = {life.id for life in lives}
    children: dict[int | None, list[Life]] = {}
    for life in sorted(lives, key=lambda one: (one.born, one.id)):
        parent = next((p for p in life.parents if p in known and p != life.id), None)
        children.setdefault(parent, []).append(life)
    ordered: list[Life] = []
    # The latest child stands nearest to its parent, so that connectors do not cross lines.
    stack = list(reversed(children.get(None, [])))
    while stack:
        life = stack.pop()
        ordered.append(life)
        stack += children.get(life.id, [])
    return ordered


def _connector(x: float, parent: float, child: float, first: bool) -> str:
    """A rounded corner from the parent's line to the start of the child's."""
    bend = min(7.0, abs(child - parent) / 2) * (1 if child > parent else -1)
    d = (
        f"M{number(x - 7)} {number(parent)}"
        f"q7 0 7 {number(bend)}V{number(child - bend)}q0 {number(bend)} 7 {number(bend)}"
    )
    return tag("path", class_="branch" if first else "branch second", d=d)


def lineage_tree(lives: Sequence[Life], last: float, title: str, width: float) -> str:
    """Rows of lives over steps 0 to `last`, in tree order, with connectors from every parent."""
    ordered = tree_order(lives)
    room = max((text_width(life.label, 11.5) for life in ordered), default=0.0)
    right = max(width - room - 22, 0.35 * width)
    height = 14 + ROW * len(ordered) + 42
    frame = Frame(
        width,
        height,
        Scale(0.0, max(last, 1.0), 12.0, right),
        Scale(0.0, float(max(len(ordered), 1)), height - 42, 14.0),
    )
    ys = {life.id: 14 + ROW * (i + 0.5) for i, life in enumerate(ordered)}
    ticks = nice_ticks(0.0, max(last, 1.0), 4 if width < 420 else 8, whole=True)
    body = [
        tag("line", class_="grid", x1=frame.x(t), x2=frame.x(t), y1=8.0, y2=frame.bottom)
        for t in ticks
    ]
    body += frame.x_axis(ticks, "step", short)
    for life in ordered:
        parents = [p for p in life.parents if p in ys]
        for i, parent in enumerate(parents):
            body.append(_connector(frame.x(life.born), ys[parent], ys[life.id], i == 0))
    for life in ordered:
        y, alive = ys[life.id], life.died is None
        start = frame.x(life.born) + (7 if any(p in ys for p in life.parents) else 0)
        end = max(frame.x(last if life.died is None else life.died), start + 1)
        parts = [
            tag("title", esc(life.hover)),
            tag(
                "rect", class_="strip", x=start, y=y - ROW / 2, width=end - start + room, height=ROW
            ),
            tag(
                "line",
                class_="life" if alive else "life dead",
                x1=start,
                x2=end,
                y1=y,
                y2=y,
                style=f"stroke:{life.color}" if alive else None,
            ),
        ]
        if alive:
            parts.append(tag("circle", cx=end, cy=y, r=3.2, style=f"fill:{life.color}"))
        else:
            d = f"M{number(end - 3)} {number(y - 3)}l6 6m0-6l-6 6"
            parts.append(tag("path", class_="cross dead", d=d))
        parts.append(label(end + 8, y + 4, life.label, class_="direct" if alive else "direct dead"))
        body.append(tag("g", *parts))
    return svg(width, height, title, body)
