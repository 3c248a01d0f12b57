"""What a page shows, as plain records: sections of figures, figures of charts, tables and tasks.

`assets/page.js` draws them. Nothing here is markup: every text is shown as the text that it is, so
model output needs no care. Colours are the style sheet's variables (`var(--k0)` ...), which is how
one drawing serves the light and the dark scheme.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from redqueen.formatting import plural

MAX_BARS = 60
MAX_POINTS = 150


def finite(points: Iterable[Sequence[float]]) -> list[list[float]]:
    """Return the points (x, y or x, low, high) whose numbers are finite, to five decimals."""
    return [[round(float(v), 5) for v in p] for p in points if all(map(math.isfinite, p))]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: `points` (x, y) by rising x, and a light area `band` of (x, low, high)."""

    name: str
    points: Sequence[Sequence[float]]
    color: str
    band: Sequence[Sequence[float]] = ()
    label: str | None = None
    """Text at the end of the line; None: no label."""
    faded: bool = False
    """Drawn thin and pale: context, not subject."""
    ended: bool = False
    """Ends in a cross (a member that was replaced)."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines over x; what is written at a point names every line that is not faded."""

    title: str
    series: Sequence[Series]
    form: str = "number"
    """How y is written: `number`, `percent` or `seconds`."""
    x_title: str = "step"
    low: float | None = None
    """Lower end of the y axis; None: from the data."""
    high: float | None = None
    height: int = 250
    heading: str = ""
    type: str = "lines"


@dataclass(frozen=True, slots=True)
class Stack:
    """One layer of all bars: (x, value)."""

    name: str
    values: Sequence[Sequence[float]]
    color: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Stacked bars over steps, the first layer at the bottom."""

    title: str
    stacks: Sequence[Stack]
    names: Sequence[tuple[float, str]]
    """What a bar stands for ("step 3", "steps 1 to 4"), by x."""
    form: str = "number"
    type: str = "bars"


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


@dataclass(frozen=True, slots=True)
class Dots:
    """Dots with intervals, in panels that share the scale from 0 to a bit above `high`."""

    title: str
    panels: Sequence[Panel]
    high: float
    type: str = "dots"


@dataclass(frozen=True, slots=True)
class Cell:
    """A rate in [0, 1] of `n` attempts, with the text to show when pointed at."""

    rate: float
    n: int
    hover: str


@dataclass(frozen=True, slots=True)
class Heat:
    """Rates by row and column; None: no attempts. `faded` names are shown pale."""

    title: str
    rows_title: str
    columns_title: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell | None]]
    faded: Sequence[str] = ()
    type: str = "heat"


@dataclass(frozen=True, slots=True)
class Life:
    """One member's line in the lineage; `color` is that of its role."""

    id: int
    born: int
    died: int | None
    parents: Sequence[int]
    label: str
    hover: str
    color: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A line for each life from birth to death over steps 0 to `last`, joined to its parents."""

    title: str
    lives: Sequence[Life]
    """From top to bottom."""
    last: int
    heading: str = ""
    type: str = "tree"


@dataclass(frozen=True, slots=True)
class Text:
    """A table's cell: `small` stands below; `look` is up, down, odd, words or empty."""

    text: str
    small: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row; a heading of the rows below if it has one cell."""

    cells: Sequence[Text]
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table, scrolled where it is too wide; `look` is signs or empty."""

    head: Sequence[Text]
    rows: Sequence[Row]
    look: str = ""
    type: str = "table"


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences, one an item."""

    items: Sequence[str]
    type: str = "list"


@dataclass(frozen=True, slots=True)
class Code:
    """Text in a fixed pitch, folded away under `summary` if there is one."""

    text: str
    summary: str = ""
    type: str = "code"


@dataclass(frozen=True, slots=True)
class Words:
    """Words and what they mean, each with an example or without, folded away."""

    summary: str
    items: Sequence[tuple[str, str, str]]
    """(word, meaning, example)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Parts under a heading, above one plain sentence."""

    id: str
    heading: str
    parts: Sequence[Any]
    caption: str = ""
    full: bool = False
    """As wide as the page, not half."""
    columns: int = 1
    """Parts side by side, where there is room."""
    legend: Sequence[tuple[str, str]] = ()
    """(name, colour)."""
    words: Words | None = None


def empty_figure(name: str, heading: str, why: str, *, full: bool = False) -> Figure:
    """Return the place of a figure that has no data, saying why."""
    return Figure(name, heading, (), why, full)


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the page."""

    id: str
    heading: str
    lead: str
    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Page:
    """All of a page."""

    kicker: str
    title: str
    verdict: str
    facts: Sequence[tuple[str, str]]
    menu: Sequence[tuple[str, str]]
    """(id of a section, its name)."""
    sections: Sequence[Section]


@dataclass(frozen=True, slots=True)
class Bin:
    """Neighbouring steps that a long run's chart shows as one."""

    first: int
    last: int
    x: float
    """Where it stands on the step axis: in the middle."""

    @property
    def name(self) -> str:
        """What it is called."""
        if self.first == self.last:
            return f"step {self.first}"
        return f"steps {self.first} to {self.last}"


def bins(steps: Sequence[int], most: int) -> dict[int, Bin]:
    """Assign each step (sorted) to one of at most `most` bins of equal width."""
    if not steps:
        return {}
    width = -(-(steps[-1] - steps[0] + 1) // most)
    starts = {step: steps[0] + (step - steps[0]) // width * width for step in steps}
    ends = {start: min(start + width - 1, steps[-1]) for start in starts.values()}
    every = {first: Bin(first, last, (first + last) / 2) for first, last in ends.items()}
    return {step: every[start] for step, start in starts.items()}


def thirds(steps: Sequence[int]) -> tuple[set[int], set[int]]:
    """The first and the last third of the steps, for captions that compare them."""
    size = max(1, len(steps) // 3)
    return set(steps[:size]), set(steps[-size:])


def percent(value: float) -> str:
    """A share as per cent without decimals."""
    return f"{100 * value:z.0f}%"


class PopulationSizes(Protocol):
    """A population's sizes; the configuration's section fits."""

    @property
    def teachers(self) -> int:
        """Members that propose."""
        ...

    @property
    def students(self) -> int:
        """Members that solve."""
        ...

    @property
    def self_play(self) -> int:
        """Members that do both."""
        ...


def population_text(sizes: PopulationSizes) -> str:
    """`4 teachers + 4 students`, `1 self-player`, `8 students on the stream`."""
    parts = [
        plural(count, word)
        for count, word in (
            (sizes.teachers, "teacher"),
            (sizes.students, "student"),
            (sizes.self_play, "self-player"),
        )
        if count
    ]
    return " + ".join(parts) + ("" if sizes.teachers or sizes.self_play else " on the stream")
