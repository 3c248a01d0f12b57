"""The page's building blocks: figures in a wide and a narrow drawing, legends, tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from redqueen.formatting import plural
from redqueen.report.charts import esc, tag

HALF = 520.0
FULL = 1080.0
THIRD = 345.0
NARROW = 346.0
MAX_BARS = 60
MAX_POINTS = 150

Draw = Callable[[float], str]


def responsive(draw: Draw, wide: float) -> str:
    """Draw twice, for wide and for narrow windows; the style sheet shows one of them.

    One drawing that is only scaled would have unreadable labels on a telephone.
    """
    return tag("div", draw(wide), class_="wide") + tag("div", draw(NARROW), class_="narrow")


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Colour keys: (name, CSS colour)."""
    items = [
        tag("li", tag("i", "", class_="key", style=f"background:{color}"), esc(name))
        for name, color in entries
    ]
    return tag("ul", *items, class_="legend") if items else ""


def figure(name: str, heading: str, body: str, caption: str, *, full: bool = False) -> str:
    """A chart with its heading above and one plain sentence below."""
    return tag(
        "figure",
        tag("h3", esc(heading)),
        body,
        tag("figcaption", esc(caption)),
        id=name,
        class_="full" if full else None,
    )


def empty_figure(name: str, heading: str, why: str, *, full: bool = False) -> str:
    """The place of a chart that has no data, saying why."""
    return tag(
        "figure",
        tag("h3", esc(heading)),
        tag("p", esc(why), class_="nothing"),
        id=name,
        class_="full" if full else None,
    )


def explained(summary: str, words: Iterable[tuple[str, str]]) -> str:
    """Words and what they mean, folded away; nothing without any."""
    items = [tag("dt", esc(word)) + tag("dd", esc(meaning)) for word, meaning in words]
    return tag("details", tag("summary", esc(summary)), tag("dl", *items)) if items else ""


def section(name: str, heading: str, lead: str, *figures: str) -> str:
    """A chapter of the page."""
    return tag(
        "section",
        tag("h2", esc(heading)),
        tag("p", esc(lead), class_="lead") if lead else "",
        tag("div", *figures, class_="figures"),
        id=name,
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """Neighbouring steps that a long run's chart shows as one; `x` is their middle."""

    first: int
    last: int

    @property
    def x(self) -> float:
        """Where it stands on the step axis."""
        return (self.first + self.last) / 2

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
    groups: dict[int, list[int]] = {}
    for step in steps:
        groups.setdefault((step - steps[0]) // width, []).append(step)
    return {
        step: Bin(steps[0] + k * width, min(steps[0] + (k + 1) * width - 1, steps[-1]))
        for k, group in groups.items()
        for step in group
    }


def thirds(steps: Sequence[int]) -> tuple[set[int], set[int]]:
    """The first and the last third of the steps, for captions that compare them."""
    size = max(1, len(steps) // 3)
    return set(steps[:size]), set(steps[-size:])


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


def document(name: str, style: str, body: str) -> str:
    """A whole page as HTML that is also well-formed XML; `name` is escaped, the rest is markup."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", esc(f"{name} · Red Queen")),
        f"<style>\n{style}</style>",
    )
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", body), lang="en") + "\n"
