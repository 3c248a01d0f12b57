"""Figures of the run itself: solve rates, complexity, rejections, coverage, time."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from redqueen.formatting import duration, plural
from redqueen.report.charts import (
    BarStyle,
    LineStyle,
    Series,
    Stack,
    line_chart,
    percent,
    short,
    stacked_bars,
    tag,
)
from redqueen.report.heldout import kind_order
from redqueen.report.markup import (
    FULL,
    HALF,
    MAX_BARS,
    MAX_POINTS,
    THIRD,
    bins,
    empty_figure,
    explained,
    figure,
    legend,
    responsive,
    thirds,
)
from redqueen.report.queries import RunData
from redqueen.store import SolveCount

KIND_COLORS = ("var(--k0)", "var(--k1)", "var(--k2)", "var(--k3)", "var(--k4)")
STACK_COLORS = tuple(f"var(--s{i})" for i in range(8))
WINDOW = 5
PHASES = {
    "match": "pairing teachers with students",
    "propose": "teachers write",
    "judge": "the base judges the tasks that somebody solved",
    "validate": "waiting for the proposals' checks that were not done while others were written",
    "solve": "students write, and their attempts are verified meanwhile",
    "learn": "rewards, advantages, the update, ratings, archive",
    "evolve": "diversity, replacement, handing weights to the engine",
    "store": "copying the checkpoint; writing it goes on in the background",
}
"""What the time of each phase is of."""


def _share(pairs: Iterable[tuple[int, int]]) -> float:
    counts = list(pairs)
    return sum(correct for correct, _ in counts) / sum(attempts for _, attempts in counts)


def solve_rates(run: RunData) -> str:
    """Students' solve rate by task kind over steps."""
    heading = "Students' solve rate"
    counts = run.solve_counts
    if not counts:
        return empty_figure("solve", heading, "No task was attempted in this run.", full=True)
    chart = _courses(run, counts, [*run.described.kinds], "Students' solve rate over steps")
    steps = run.steps
    early, late = thirds(steps)
    first = [(c.correct, c.attempts) for c in counts if c.step in early]
    last = [(c.correct, c.attempts) for c in counts if c.step in late]
    caption = "Share of attempts that were correct; bold lines pool five points."
    if first and last and len(steps) > 2:
        caption = (
            f"{percent(_share(first))} of attempts were correct in the first third of the run, "
            f"{percent(_share(last))} in the last "
            f"({plural(sum(c.attempts for c in counts), 'attempt')} in all). "
            f"{_why_tasks_change(run)} Bold lines pool five points."
        )
    return figure("solve", heading, chart, caption, full=True)


def turn_rates(run: RunData) -> str:
    """Solve rate of the answers in each turn; nothing at all where attempts have one answer."""
    counts = run.turn_counts
    if len({count.kind for count in counts}) < 2:
        return ""
    heading = "Answers by turn of the interaction"
    chart = _courses(run, counts, (), "Share of right answers over steps, by turn")
    of_turn: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for count in counts:
        of_turn[count.kind].append((count.correct, count.attempts))
    shares = (
        f"{kind} {percent(_share(pairs))} of {sum(attempts for _, attempts in pairs):,}"
        for kind, pairs in sorted(of_turn.items())
    )
    caption = f"Right answers over the whole run: {', '.join(shares)}. Bold lines pool five points."
    return figure("turns", heading, chart, caption, full=True)


def _courses(run: RunData, counts: Sequence[SolveCount], order: Sequence[str], title: str) -> str:
    """Return a chart of the share of right answers over steps, a line for each kind."""
    place = bins(run.steps, MAX_POINTS)
    series: list[Series] = []
    kinds = kind_order((c.kind for c in counts), order)
    for kind, color in zip(kinds, KIND_COLORS, strict=False):
        pairs_at: dict[float, list[tuple[int, int]]] = defaultdict(list)
        for count in counts:
            if count.kind == kind:
                pairs_at[place[count.step].x].append((count.correct, count.attempts))
        single = [(x, _share(pairs)) for x, pairs in pairs_at.items()]
        series.append(Series(kind, single, color, faded=True))
        xs = list(pairs_at)
        half = WINDOW // 2
        pooled = [
            (x, _share(p for near in xs[max(0, i - half) : i + half + 1] for p in pairs_at[near]))
            for i, x in enumerate(xs)
        ]
        series.append(Series(kind, pooled, color, label=kind))
    style = LineStyle(title, form=percent, low=0.0, high=1.0)
    return responsive(lambda width: line_chart(series, style, width), FULL)


def _why_tasks_change(run: RunData) -> str:
    if run.is_stream:
        return "The stream's tasks do not depend on who attempts them."
    return "Tasks get harder or easier as teachers change."


def complexity(run: RunData) -> str:
    """Complexity of the valid tasks over steps: means and middle halves."""
    heading = "How complex the tasks are"
    tasks = run.features
    place = bins(run.steps, MAX_BARS // 2)
    panels, changes = [], []
    early, late = thirds(run.steps)
    for name, title in run.described.measures.items():
        values: dict[float, list[float]] = defaultdict(list)
        for step, _, features in tasks:
            if name in features:
                values[place[step].x].append(features[name])
        if not values:
            continue
        half = {x: np.quantile(several, [0.25, 0.75]) for x, several in values.items()}
        series = [
            Series(
                "mean",
                [(x, statistics.fmean(several)) for x, several in values.items()],
                "var(--teacher)",
                band=[(x, float(q[0]), float(q[1])) for x, q in half.items()],
            )
        ]
        style = LineStyle(title, form=short, height=200.0)

        def draw(width: float, series: list[Series] = series, style: LineStyle = style) -> str:
            return line_chart(series, style, width)

        panels.append(tag("div", tag("h4", title), responsive(draw, THIRD)))
        ends = [
            statistics.fmean(of_third)
            for third in (early, late)
            if (of_third := [f[name] for step, _, f in tasks if step in third and name in f])
        ]
        if len(ends) == 2:
            changes.append(f"{title.lower()} {ends[0]:.1f} to {ends[1]:.1f}")
    if not panels:
        why = "No valid task with measures was posed in this run."
        return empty_figure("complexity", heading, why, full=True)
    caption = f"Mean (line) and middle half (area) of {plural(len(tasks), 'valid task')}."
    if changes and len(run.steps) > 2:
        caption += f" Means of the first and the last third of the run: {', '.join(changes)}."
    body = tag("div", *panels, class_="panels")
    return figure("complexity", heading, body, caption, full=True)


def rejections(run: RunData) -> str:
    """Rejected proposals by reason, as a share of all proposals."""
    heading = "Rejected proposals by reason"
    outcomes = run.outcomes
    total = sum(o.count for o in outcomes)
    if not total:
        why = "No proposal was written in this run."
        if run.is_stream:
            why = "Nobody proposes in this run: its tasks come from a stream."
        return empty_figure("rejections", heading, why)
    # A step has few proposals: shares of single steps would be noise.
    place = bins(run.steps, MAX_BARS // 2)
    reasons = Counter[str]()
    every: Counter[float] = Counter()
    for outcome in outcomes:
        every[place[outcome.step].x] += outcome.count
        if outcome.reason is not None:
            reasons[outcome.reason] += outcome.count
    named = [reason for reason, _ in sorted(reasons.items(), key=lambda r: (-r[1], r[0]))]
    # Eight colours can be told apart; the rarest reasons share the last one.
    shown = named if len(named) <= len(STACK_COLORS) else named[: len(STACK_COLORS) - 1]
    names = [*shown, *(["other reasons"] if len(shown) < len(named) else [])]
    shares: dict[str, dict[float, float]] = {name: defaultdict(float) for name in names}
    for outcome in outcomes:
        if outcome.reason is not None:
            name = outcome.reason if outcome.reason in shares else "other reasons"
            x = place[outcome.step].x
            shares[name][x] += outcome.count / every[x]
    stacks = [
        Stack(name, shares[name], color) for name, color in zip(names, STACK_COLORS, strict=False)
    ]
    style = BarStyle(
        "Share of proposals rejected, by reason",
        {group.x: group.name for group in place.values()},
        form=percent,
    )
    rejected = sum(reasons.values())
    caption = (
        f"Share of proposals; {rejected:,} of {total:,} were rejected "
        f"({rejected / total:.0%}), the rest became tasks."
    )
    if len(shown) < len(named):
        caption += f" Other reasons: {', '.join(named[len(shown) :])}."
    if not rejected:
        why = f"None of {plural(total, 'proposal')} was rejected."
        return empty_figure("rejections", heading, why)
    chart = responsive(lambda width: stacked_bars(stacks, style, width), HALF)
    keys = legend((f"{s.name} {_count(s.name, reasons, named, shown):,}", s.color) for s in stacks)
    said = [(name, run.described.reasons[name]) for name in named if name in run.described.reasons]
    return figure("rejections", heading, keys + chart + explained("The reasons", said), caption)


def _count(name: str, reasons: Counter[str], named: Sequence[str], shown: Sequence[str]) -> int:
    if name in reasons:
        return reasons[name]
    return sum(reasons[other] for other in named[len(shown) :])


def coverage(run: RunData) -> str:
    """Share of archive cells filled, of all and of each task kind's, over steps."""
    heading = "Coverage of the task archive"
    points = run.coverage
    if not points:
        return empty_figure("coverage", heading, "This run recorded no archive coverage.")
    place = bins([step for step, _ in points], MAX_POINTS)
    last = {place[step].x: value for step, value in points}
    series = [
        Series("coverage", list(last.items()), "var(--teacher)", label=f"{points[-1][1]:.0%}")
    ]
    if run.shuffled_coverage:
        shuffled = {place[step].x: value for step, value in run.shuffled_coverage}
        name = "in random order"
        series.append(Series(name, list(shuffled.items()), "var(--base)", label=name))
    for (kind, course), color in zip(run.kind_coverage.items(), KIND_COLORS, strict=False):
        of_kind = {place[step].x: value for step, value in course}
        series.append(Series(kind, list(of_kind.items()), color, label=kind, faded=True))
    style = LineStyle("Archive coverage over steps", form=percent, low=0.0)
    caption = "Share of feature cells with at least one task: " + ", ".join(
        f"{value:.0%} after step {step}" for step, value in dict([points[0], points[-1]]).items()
    )
    caption += "."
    if run.shuffled_coverage:
        caption += " Only what differs from the same tasks in random order is a move to new cells."
    chart = responsive(lambda width: line_chart(series, style, width), HALF)
    return figure("coverage", heading, chart, caption)


def phase_times(run: RunData) -> str:
    """Seconds of each phase, by step."""
    heading = "Where the time went"
    times = run.phases
    if not times:
        return empty_figure("time", heading, "This run recorded no times.", full=True)
    place = bins(run.steps, MAX_BARS)
    width_of = Counter(group.x for group in place.values())
    order = kind_order((t.phase for t in times), [*PHASES])
    seconds: dict[str, dict[float, float]] = {name: defaultdict(float) for name in order}
    for t in times:
        x = place[t.step].x
        seconds[t.phase][x] += t.seconds / width_of[x]
    stacks = [
        Stack(name, seconds[name], STACK_COLORS[i % len(STACK_COLORS)])
        for i, name in enumerate(order)
    ]
    style = BarStyle(
        "Seconds a step, by phase",
        {group.x: group.name for group in place.values()},
        form=lambda value: f"{short(value)} s",
    )
    totals = {name: sum(t.seconds for t in times if t.phase == name) for name in order}
    whole = sum(totals.values())
    most = max(totals, key=lambda name: totals[name])
    caption = (
        f"{duration(whole)} for {plural(len(run.steps), 'step')}, "
        f"{duration(whole / len(run.steps))} each on average; "
        f"{most} took {totals[most] / (whole or 1.0):.0%}."
    )
    beside = {t.phase: 0.0 for t in run.background}
    for t in run.background:
        beside[t.phase] += t.seconds
    if beside:
        each = ", ".join(f"{name} {duration(total)}" for name, total in beside.items())
        caption += f" At the same time as these phases, and not in their sum: {each}."
    keys = legend((f"{s.name} {duration(totals[s.name])}", s.color) for s in stacks)
    chart = responsive(lambda width: stacked_bars(stacks, style, width), FULL)
    said = [(name, PHASES[name]) for name in order if name in PHASES]
    body = keys + chart + explained("What the phases are", said)
    return figure("time", heading, body, caption, full=True)
