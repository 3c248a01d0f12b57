"""Figures of how unlike members are, and the alarms that rang."""

from redqueen.alarms import CAUSES
from redqueen.formatting import plural
from redqueen.report.figures import (
    MAX_POINTS,
    Figure,
    Lines,
    Listing,
    Series,
    bins,
    empty_figure,
    finite,
)
from redqueen.report.queries import RunData, stretches

GROUPS = {
    "teacher": ("teachers", "var(--teacher)"),
    "student": ("students", "var(--student)"),
    "self_play": ("self-players", "var(--both)"),
}
MEASURES = {
    "weights_mean": ("Mean distance of weights", 0.0),
    "weights_effective": ("Effective number by weights", 1.0),
    "behaviour_mean": ("Mean distance of behaviour", 0.0),
    "nll": ("Surprise at the others' answers, nats a token", 0.0),
    "kl": ("KL to the others, nats a token", 0.0),
}


def _panel(run: RunData, measure: str, title: str, low: float) -> tuple[Lines, list[str]]:
    """One chart with a line for each group, and how each began and ended."""
    series, ends = [], []
    for group, (words, color) in GROUPS.items():
        points = run.diversity.get(f"{group}/{measure}")
        if not points:
            continue
        place = bins([step for step, _ in points], MAX_POINTS)
        line = {place[step].x: value for step, value in points}
        series.append(Series(words, finite(line.items()), color, label=words))
        ends.append(f"{words} {points[0][1]:.2f} to {points[-1][1]:.2f}")
    chart = Lines(f"{title} over steps", series, low=low, height=200, heading=title)
    return chart, ends


def diversity(run: RunData) -> Figure:
    """Distances between members of a kind, and how many members they amount to, over steps."""
    heading = "How unlike the members are"
    panels, changes = [], []
    for measure, (title, low) in MEASURES.items():
        panel, ends = _panel(run, measure, title, low)
        if ends:
            panels.append(panel)
            changes.append(f"{title.lower()}: {', '.join(ends)}")
    if not panels:
        why = "This run has no two members of a kind to compare."
        return empty_figure("diversity", heading, why, full=True)
    caption = (
        "Distance 0 is equal, 1 has nothing in common; n unlike members have the effective number "
        "n, n alike ones 1. Behaviour is teachers' tasks by archive cell and students' verdicts by "
        "kind; few tasks make equals look unlike. First to last step: "
        f"{'; '.join(changes)}."
    )
    return Figure("diversity", heading, panels, caption, full=True, columns=3)


def alarms(run: RunData) -> list[Figure]:
    """The alarms that rang; nothing at all if none did."""
    lines = alarm_lines(run)
    why = "The population collapsed, or nearly. An alarm stops nothing; see alarms in the config."
    return [Figure("alarms", "Alarms", [Listing(lines)], why, full=True)] if lines else []


def alarm_lines(run: RunData) -> list[str]:
    """One sentence for each alarm that rang, with the steps in which it did."""
    lines = []
    for name, steps in run.alarms.items():
        spans = [f"{a}" if a == b else f"{a} to {b}" for a, b in stretches(steps, run.steps)]
        lines.append(
            f"Alarm {name} ({CAUSES[name].sentence}): {plural(len(steps), 'step')}, "
            f"{', '.join(spans)}."
        )
    return lines
