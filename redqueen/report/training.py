"""Figures of the run itself: solve rates, complexity, rejections, coverage, time."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from redqueen.formatting import duration, plural
from redqueen.report.figures import (
    MAX_BARS,
    MAX_POINTS,
    Bars,
    Bin,
    Figure,
    Lines,
    Series,
    Stack,
    Words,
    bins,
    empty_figure,
    finite,
    percent,
    thirds,
)
from redqueen.report.heldout import kind_order
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


def _share(counts: Sequence[Sequence[float]]) -> float:
    """Return the share of (correct, attempts), added up."""
    return sum(of[0] for of in counts) / sum(of[1] for of in counts)


def solve_rates(run: RunData) -> Figure:
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
    return Figure("solve", heading, [chart], caption, full=True)


def turn_rates(run: RunData) -> list[Figure]:
    """Solve rate of the answers in each turn; nothing at all where attempts have one answer."""
    counts = run.turn_counts
    of_turn: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for count in counts:
        of_turn[count.kind].append((count.correct, count.attempts))
    if len(of_turn) < 2:
        return []
    chart = _courses(run, counts, (), "Share of right answers over steps, by turn")
    shares = (
        f"{kind} {percent(_share(pairs))} of {sum(attempts for _, attempts in pairs):,}"
        for kind, pairs in sorted(of_turn.items())
    )
    caption = f"Right answers over the whole run: {', '.join(shares)}. Bold lines pool five points."
    return [Figure("turns", "Answers by turn of the interaction", [chart], caption, full=True)]


def _courses(run: RunData, counts: Sequence[SolveCount], order: Sequence[str], title: str) -> Lines:
    """Return a chart of the share of right answers over steps, a line for each kind."""
    place = bins(run.steps, MAX_POINTS)
    series: list[Series] = []
    kinds = kind_order({count.kind for count in counts}, order)
    for kind, color in zip(kinds, KIND_COLORS, strict=False):
        of_bin: dict[float, list[int]] = defaultdict(lambda: [0, 0])
        for count in counts:
            if count.kind == kind:
                total = of_bin[place[count.step].x]
                total[0] += count.correct
                total[1] += count.attempts
        xs, totals, half = list(of_bin), list(of_bin.values()), WINDOW // 2
        single = [(x, _share([total])) for x, total in of_bin.items()]
        series.append(Series(kind, finite(single), color, faded=True))
        pooled = [(x, _share(totals[max(0, i - half) : i + half + 1])) for i, x in enumerate(xs)]
        series.append(Series(kind, finite(pooled), color, label=kind))
    return Lines(title, series, "percent", low=0, high=1)


def _why_tasks_change(run: RunData) -> str:
    if run.is_stream:
        return "The stream's tasks do not depend on who attempts them."
    return "Tasks get harder or easier as teachers change."


def complexity(run: RunData) -> Figure:
    """Complexity of the valid tasks over steps: means and middle halves."""
    heading = "How complex the tasks are"
    steps_n, values_nF = run.features.steps_n, run.features.values_nF
    place = bins(run.steps, MAX_BARS // 2)
    rows = {  # tasks come in step order, so a bin is a slice
        of.x: slice(*np.searchsorted(steps_n, [of.first, of.last + 1]))
        for of in set(place.values())
    }
    panels, changes = [], []
    for column, title in enumerate(run.described.measures.values()):
        values_n = values_nF[:, column]
        line, band = [], []
        for x, chosen in rows.items():
            several = values_n[chosen]
            several = several[np.isfinite(several)]
            if len(several):
                line.append((x, several.mean()))
                band.append((x, *np.quantile(several, [0.25, 0.75])))
        if not line:
            continue
        series = [Series("mean", finite(line), "var(--teacher)", finite(band))]
        panels.append(Lines(title, series, height=200, heading=title))
        size = max(1, len(run.steps) // 3)
        early_n, late_n = steps_n <= run.steps[size - 1], steps_n >= run.steps[-size]
        ends = [values_n[third & np.isfinite(values_n)] for third in (early_n, late_n)]
        if all(map(len, ends)):
            changes.append(f"{title.lower()} {ends[0].mean():.1f} to {ends[1].mean():.1f}")
    if not panels:
        why = "No valid task with measures was posed in this run."
        return empty_figure("complexity", heading, why, full=True)
    caption = f"Mean (line) and middle half (area) of {plural(len(steps_n), 'valid task')}."
    if changes and len(run.steps) > 2:
        caption += f" Means of the first and the last third of the run: {', '.join(changes)}."
    return Figure("complexity", heading, panels, caption, full=True, columns=3)


def rejections(run: RunData) -> Figure:
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
        Stack(name, finite(shares[name].items()), color)
        for name, color in zip(names, STACK_COLORS, strict=False)
    ]
    chart = Bars("Share of proposals rejected, by reason", stacks, bar_names(place), "percent")
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
    keys = [(f"{s.name} {_count(s.name, reasons, named, shown):,}", s.color) for s in stacks]
    words = [
        (name, run.described.reasons.get(name, ""), run.examples.get(name, "")) for name in named
    ]
    return Figure(
        "rejections", heading, [chart], caption, legend=keys,
        words=Words("The reasons, each with its latest example", words),
    )  # fmt: skip


def bar_names(place: Mapping[int, Bin]) -> list[tuple[float, str]]:
    """Return (x, name) of all bins, those without anything too."""
    return [(group.x, group.name) for group in dict.fromkeys(place.values())]


def _count(name: str, reasons: Counter[str], named: Sequence[str], shown: Sequence[str]) -> int:
    if name in reasons:
        return reasons[name]
    return sum(reasons[other] for other in named[len(shown) :])


def coverage(run: RunData) -> Figure:
    """Share of archive cells filled, of all and of each task kind's, over steps."""
    heading = "Coverage of the task archive"
    points = run.coverage
    if not points:
        return empty_figure("coverage", heading, "This run recorded no archive coverage.")
    place = bins([step for step, _ in points], MAX_POINTS)
    last = {place[step].x: value for step, value in points}
    series = [
        Series("coverage", finite(last.items()), "var(--teacher)", label=f"{points[-1][1]:.0%}")
    ]
    if run.shuffled_coverage:
        shuffled = {place[step].x: value for step, value in run.shuffled_coverage}
        name = "in random order"
        series.append(Series(name, finite(shuffled.items()), "var(--base)", label=name))
    for (kind, course), color in zip(run.kind_coverage.items(), KIND_COLORS, strict=False):
        of_kind = {place[step].x: value for step, value in course}
        series.append(Series(kind, finite(of_kind.items()), color, label=kind, faded=True))
    chart = Lines("Archive coverage over steps", series, "percent", low=0)
    caption = "Share of feature cells with at least one task: " + ", ".join(
        f"{value:.0%} after step {step}" for step, value in dict([points[0], points[-1]]).items()
    )
    caption += "."
    if run.shuffled_coverage:
        caption += " Only what differs from the same tasks in random order is a move to new cells."
    return Figure("coverage", heading, [chart], caption)


def phase_times(run: RunData) -> Figure:
    """Seconds of each phase, by step."""
    heading = "Where the time went"
    times = run.phases
    if not times:
        return empty_figure("time", heading, "This run recorded no times.", full=True)
    place = bins(run.steps, MAX_BARS)
    width_of = Counter(group.x for group in place.values())
    order = kind_order({t.phase for t in times}, [*PHASES])
    seconds: dict[str, dict[float, float]] = {name: defaultdict(float) for name in order}
    for t in times:
        x = place[t.step].x
        seconds[t.phase][x] += t.seconds / width_of[x]
    stacks = [
        Stack(name, finite(seconds[name].items()), STACK_COLORS[i % len(STACK_COLORS)])
        for i, name in enumerate(order)
    ]
    chart = Bars("Seconds a step, by phase", stacks, bar_names(place), "seconds")
    totals = dict.fromkeys(order, 0.0)
    for t in times:
        totals[t.phase] += t.seconds
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
    keys = [(f"{s.name} {duration(totals[s.name])}", s.color) for s in stacks]
    words = Words("What the phases are", [(n, PHASES[n], "") for n in order if n in PHASES])
    return Figure("time", heading, [chart], caption, full=True, legend=keys, words=words)
