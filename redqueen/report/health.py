"""Is it working? The vital signs of a run, from its database: health before advice.

Whatever is known so far is judged: a run that goes on, one that has ended, one without a step.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

import numpy as np
from scipy.stats import t as student_t

from redqueen.store import GroupCount, RunReader


class Word(StrEnum):
    """What a sign says."""

    FINE = "fine"
    WATCH = "watch"
    BROKEN = "broken"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Reading:
    """A measured sign: the number that is judged, and how a person reads it."""

    value: float
    text: str
    worst: Word = Word.BROKEN
    """The worst that may be said of it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A sign, its thresholds, and what to do."""

    title: str
    fine: float
    """At least this is fine, or at most where `fine` is below `broken`."""
    broken: float
    """Beyond this is broken; between the two, watch."""
    why: str
    advice: str
    """What to change when it is not fine."""
    to_measure: str = "It comes with the first steps."
    """What a run needs to have it measured."""

    def word(self, value: float, worst: Word = Word.BROKEN) -> Word:
        """Return what a value says, `worst` where that would be broken."""
        sign = 1.0 if self.fine >= self.broken else -1.0
        if sign * value >= sign * self.fine:
            return Word.FINE
        return worst if sign * value < sign * self.broken else Word.WATCH


RULES: Mapping[str, Rule] = {
    "format": Rule(
        "answers in the wanted format",
        0.9,
        0.7,
        "What cannot be read teaches the format and nothing else.",
        "Let the base practise the format first (population.teachers = 0), choose another style "
        "for its prompts, or another base.",
    ),
    "truncated": Rule(
        "answers cut off by the limit",
        0.05,
        0.2,
        "A right answer that is cut off counts as malformed.",
        "Raise rollout.solve_tokens.",
    ),
    "mixed": Rule(
        "groups with mixed verdicts",
        0.5,
        0.25,
        "A group of equal verdicts has no advantage, so its attempts were paid for in vain.",
        "Change what is too easy or too hard: the environment's kinds, the base, "
        'learner.teacher.reward = "variance"; raise rollout.attempts, or set rollout.mixed_groups.',
    ),
    "teacher_reward": Rule(
        "teachers' reward on fixed students, late minus early, in standard errors",
        1.96,
        0.0,
        "While students learn, a reward that falls says nothing about teachers; fixed ones tell.",
        'Use learner.teacher.advantage = {type = "reinforce++", pooled = true, window = 8}, or '
        "more proposals (rollout.tasks_per_match), or a higher rollout.propose_temperature.",
        "Train a control with learner.student.frozen = true.",
    ),
    "reliability": Rule(
        "reliability of fitness",
        0.5,
        0.3,
        "Below 0.3 less than a third of what selection acts on is a difference between members.",
        'Measure more: evolution.fitness = {type = "probe", tasks = 16}; or select less often '
        "(evolution.interval), or not at all (evolution.enabled).",
        'Set evolution.fitness = "probe".',
    ),
    "outside": Rule(
        "valid tasks with a construct or a pair that no seed task has",
        0.2,
        0.05,
        "Teachers that only recombine the seed tasks' forms are a slow generator.",
        'Use curriculum.references = "varied" or "rare", rollout.vocabulary_dropout, '
        "a higher rollout.propose_temperature.",
        "It needs teachers, and an environment that names constructs.",
    ),
    "diversity": Rule(
        "teachers' styles (adjusted mutual information of author and task)",
        0.05,
        0.02,
        "At 0 a task tells nothing about its author: several teachers do the work of one. They "
        "start alike, so this is broken only where there were styles that are lost.",
        'Use evolution.sharing.by = "behaviour", a smaller evolution.cull, or fewer teachers.',
        "It needs two teachers.",
    ),
}
"""All signs, in the order of showing, with their thresholds."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One line of the panel."""

    name: str
    title: str
    text: str
    """The value for people; empty if it was not measured."""
    word: Word
    advice: str
    """What to change; empty if all is fine."""


def recent(steps: Sequence[int]) -> frozenset[int]:
    """Return the steps that say how a run is now: the last third, ten at least."""
    return frozenset(steps[-max(10, len(steps) // 3) :])


Measure = Callable[[RunReader, frozenset[int]], Reading | None]


def _share(part: Callable[[GroupCount], int], whole: str, unit: str) -> Measure:
    """Return what measures a share of answers or groups in the late steps."""

    def measure(run: RunReader, late: frozenset[int]) -> Reading | None:
        counts = [c for c in run.load_group_counts() if c.step in late]
        size = sum(getattr(c, whole) for c in counts)
        share = sum(map(part, counts)) / (size or 1)
        return Reading(share, f"{share:.0%} of {size:,} {unit}") if size else None

    return measure


def _teacher_reward(run: RunReader, late: frozenset[int]) -> Reading | None:
    """Last third of the steps minus the first third by Welch's t; steps are the units.

    The value is in standard errors of a normal distribution, which fine and broken are about: with
    few steps a difference must be larger to be as sure.
    """
    learner = run.config_values().get("learner", {})
    if not learner.get("student", {}).get("frozen"):
        return None
    rewards = np.array([value for _, value in run.load_teacher_rewards()])
    size = len(rewards) // 3
    if size < 2:
        return None
    early, last = rewards[:size], rewards[-size:]
    change = float(last.mean() - early.mean())
    spread = np.array([early.var(ddof=1), last.var(ddof=1)])
    error = math.sqrt(spread.sum() / size)
    if error == 0.0:
        value = math.copysign(math.inf, change) if change else 0.0
        return Reading(value, f"{change:+z.3f} (no variation within the thirds)")
    df = (size - 1) * spread.sum() ** 2 / (spread**2).sum()
    half = float(student_t.ppf(0.975, df)) * error
    low, high = change - half, change + half
    return Reading(1.96 * change / half, f"{change:+z.3f} ({low:+z.3f} to {high:+z.3f})")


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


def _reliability(run: RunReader, late: frozenset[int]) -> Reading | None:
    """The weakest group's median over all generations: they are few, and noise goes far below 0."""
    courses = {g: run.load_metrics(f"fitness_reliability/{g}") for g in ("teacher", "student")}
    middle = {g: median(v for _, v in points) for g, points in courses.items() if points}
    if not middle:
        return None
    text = ", ".join(f"{group}s {value:.2f}" for group, value in middle.items())
    return Reading(min(middle.values()), text)


def _outside(run: RunReader, late: frozenset[int]) -> Reading | None:
    share = _mean([v for step, v in run.load_metrics("outside_seeds") if step in late])
    return None if share is None else Reading(share, f"{share:.0%} of a step's tasks")


def _diversity(run: RunReader, late: frozenset[int]) -> Reading | None:
    points = run.load_metrics("diversity/teacher/style")
    style = _mean([v for s, v in points if s in late])
    if style is None:
        return None
    width = min(len(late), len(points))
    windows = [points[n : n + width] for n in range(len(points) - width + 1)]
    means = [_mean([v for _, v in window]) for window in windows]
    best = max(mean for mean in means if mean is not None)
    lost = RULES["diversity"].word(best) is Word.FINE
    return Reading(style, f"{style:.3f}", Word.BROKEN if lost else Word.WATCH)


MEASURES: Mapping[str, Measure] = {
    "format": _share(lambda c: c.attempts - c.malformed, "attempts", "answers"),
    "truncated": _share(lambda c: c.truncated, "attempts", "answers"),
    "mixed": _share(lambda c: c.mixed, "groups", "groups"),
    "teacher_reward": _teacher_reward,
    "reliability": _reliability,
    "outside": _outside,
    "diversity": _diversity,
}


def health(run: RunReader) -> list[Sign]:
    """Return all signs of a run as it is now; what was not measured says what it needs.

    Raises:
        InfrastructureError: the database failed.
    """
    late, signs = recent(run.steps()), []
    for name, rule in RULES.items():
        reading = MEASURES[name](run, late)
        if reading is None:
            signs.append(Sign(name, rule.title, "", Word.UNKNOWN, rule.to_measure))
            continue
        word = rule.word(reading.value, reading.worst)
        advice = "" if word is Word.FINE else f"{rule.why} {rule.advice}"
        signs.append(Sign(name, rule.title, reading.text, word, advice))
    return signs
