"""The figure of the present against the past: progress, or cycling."""

from collections.abc import Collection, Iterable, Sequence

from redqueen.report.figures import (
    MAX_BARS,
    Figure,
    Lines,
    Series,
    bins,
    empty_figure,
    finite,
    percent,
    thirds,
)
from redqueen.report.queries import RunData
from redqueen.types import MatchResult

HEADING = "The present against the past"
PAIRINGS = {
    (False, False): ("present on present", "var(--pale)"),
    (True, False): ("present on past", "var(--student)"),
    (False, True): ("past on present", "var(--teacher)"),
}
"""(past teacher, past student) -> name and colour of the line."""
Points = list[tuple[int, float, float]]
"""(step, value, weight) of matches."""


def present_won(result: MatchResult, past: Collection[int]) -> float | None:
    """Return 1 if the present won a match against the past, 0 if it lost, 1/2 if it drew.

    None: the match has no outcome.
    """
    if result.student_won is None:
        return None if result.solve_rate is None else 0.5
    return float(result.student_won == (result.match.teacher in past))


def _mean(points: Iterable[tuple[int, float, float]]) -> float:
    every = list(points)
    return sum(value * weight for _, value, weight in every) / sum(weight for *_, weight in every)


def _panel(run: RunData, title: str, lines: Sequence[tuple[str, str, Points]]) -> Lines:
    """Return a chart of shares, pooled over stretches of steps."""
    place = bins(run.steps, MAX_BARS // 2)
    series = []
    for name, color, points in lines:
        pooled: dict[float, Points] = {}
        for point in points:
            pooled.setdefault(place[point[0]].x, []).append(point)
        line = finite((x, _mean(of_bin)) for x, of_bin in pooled.items())
        series.append(Series(name, line, color, label=name))
    return Lines(f"{title} over steps", series, "percent", low=0, high=1, height=200, heading=title)


def against_the_past(run: RunData) -> list[Figure]:
    """Matches that the present won, and solve rates across time, where there is a hall of fame."""
    if not run.config["population"].get("hall_of_fame", {}).get("share"):
        return []
    past = {member.id for member in run.past}
    won: Points = []
    rates: dict[tuple[bool, bool], Points] = {pairing: [] for pairing in PAIRINGS}
    for result in run.matches:
        match = result.match
        pairing = (match.teacher in past, match.student in past)
        if any(pairing) and (value := present_won(result, past)) is not None:
            won.append((match.step, value, 1.0))
        if result.solve_rate is not None:
            rates[pairing].append((match.step, result.solve_rate, float(result.valid)))
    if not won:
        why = "No match against the hall of fame has ended yet."
        return [empty_figure("past", HEADING, why, full=True)]
    lines = [(*PAIRINGS[pairing], points) for pairing, points in rates.items() if points]
    caption = (
        f"The present won {percent(_mean(won))} of {len(won):,} matches against "
        "the past (a draw is half). Winning is beating what the ratings expect, and these follow: "
        "a share above one half says that the present is better than its rating so far. Solve "
        "rates need no rating: students have got better where present on present is above past on "
        "present, teachers' tasks harder where it is below present on past."
    )
    early, late = (_of(won, steps) for steps in thirds(run.steps))
    if early and late and len(run.steps) > 2:
        caption += (
            f" Won in the first third of the run: {percent(_mean(early))} of {len(early)}; in the "
            f"last: {percent(_mean(late))} of {len(late)}."
        )
    panels = (
        _panel(run, "Matches won by the present", [("present", "var(--student)", won)]),
        _panel(run, "Solve rates of students on tasks", lines),
    )
    return [Figure("past", HEADING, panels, caption, full=True, columns=2)]


def _of(points: Points, steps: Collection[int]) -> Points:
    return [point for point in points if point[0] in steps]
