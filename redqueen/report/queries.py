"""From a run's database to plain data: all that the report draws, and nothing about drawing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from redqueen.alarms import CAUSES
from redqueen.report.benchmarks import Line, benchmark_lines
from redqueen.report.health import Sign, health
from redqueen.report.heldout import HeldOut, ordered_suites, summarize
from redqueen.report.rarefaction import shuffled_coverage
from redqueen.store import (
    Attempt,
    FeatureTable,
    MatrixCell,
    OutcomeCount,
    PhaseTime,
    RatingPoint,
    RunReader,
    SolveCount,
    TaskOutcome,
)
from redqueen.store.exchanges import load_exchange_counts
from redqueen.types import MatchResult, Verdict

Points = list[tuple[int, float]]
"""(step, value), in step order."""
GROUPS = ("teacher", "student", "self_play")
DIVERSITY = ("weights_mean", "weights_effective", "behaviour_mean", "nll", "kl")
PER_STAGE = 2
STAGE = 2
"""Steps of a stage, at most."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many members of which roles a run was made with."""

    teachers: int
    students: int
    self_play: int


@dataclass(frozen=True, slots=True)
class Described:
    """What the environments of a run say of themselves, put together."""

    kinds: Mapping[str, str]
    """Kind -> title, in order."""
    measures: Mapping[str, str]
    """Feature of a task -> title, in order."""
    difficulty: str
    """Title of the feature that suites are broken down by."""
    suites: Mapping[str, str]
    """Suite -> a sentence that says what its tasks are."""
    reasons: Mapping[str, str]
    """Reason of a rejection -> a sentence."""
    payload: Mapping[str, Mapping[str, str]]
    """Kind -> key of the payload -> title, in the order of showing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A few tasks, with attempts, from one part of the run."""

    name: str
    first: int
    last: int
    tasks: Sequence[tuple[TaskOutcome, Sequence[Attempt]]]


class RunData:
    """A run as a person is shown it; everything is read when it is first asked for, and kept."""

    def __init__(self, run: RunReader, texts: Sequence[Any] = ()) -> None:
        self._run = run
        self.texts = texts
        """A sample, for a page without a server."""
        self.path = str(run.directory)
        """As it was given."""
        self.directory = run.directory.name
        self.config: Mapping[str, Any] = run.config_values()
        self.created: str | None = run.meta("created")
        self.version: str | None = run.meta("redqueen_version")
        """Of redqueen, when the run was made."""
        self.described = described(run)
        population = self.config.get("population", {})
        roles = ("teachers", "students", "self_play")
        self.sizes = Sizes(*(population.get(role, 0) for role in roles))
        self.last_step = run.last_step()
        self.steps = run.steps()
        everybody = run.load_members()
        self.members = [member for member in everybody if not member.is_past]
        self.past = [member for member in everybody if member.is_past]
        """The hall of fame, also who has left it."""

    @property
    def is_stream(self) -> bool:
        """Whether tasks come from the stream: students and nobody who proposes."""
        return not self.sizes.teachers and not self.sizes.self_play

    @cached_property
    def matches(self) -> Sequence[MatchResult]:
        """All matches in order."""
        return self._run.load_matches()

    @cached_property
    def ratings(self) -> Mapping[int, Sequence[RatingPoint]]:
        """Member -> its course, in step order."""
        courses: dict[int, list[RatingPoint]] = defaultdict(list)
        for point in self._run.load_ratings():
            courses[point.member].append(point)
        return courses

    @cached_property
    def matrix(self) -> Sequence[MatrixCell]:
        """Teacher x student totals."""
        return self._run.load_matrix()

    @cached_property
    def solve_counts(self) -> Sequence[SolveCount]:
        """Right and counted attempts by step and kind."""
        return self._run.load_solve_counts()

    @cached_property
    def turn_counts(self) -> Sequence[SolveCount]:
        """Right and counted answers by step and turn, which takes the kind's place."""
        return self._run.load_turn_counts()

    @cached_property
    def attempts(self) -> int:
        """Answers in all, infrastructure errors left out."""
        return sum(count.attempts for count in self._run.load_group_counts())

    @cached_property
    def outcomes(self) -> Sequence[OutcomeCount]:
        """Proposals by step and outcome."""
        return self._run.load_outcomes()

    @cached_property
    def features(self) -> FeatureTable:
        """The measures of all tasks, in the order of `described.measures`."""
        return self._run.load_feature_table([*self.described.measures])

    @cached_property
    def examples(self) -> Mapping[str, str]:
        """Reason of a rejection -> the latest proposal that had it."""
        return self._run.load_examples()

    @cached_property
    def phases(self) -> Sequence[PhaseTime]:
        """Seconds of every phase of every step."""
        return self._run.load_phases()

    @cached_property
    def background(self) -> Sequence[PhaseTime]:
        """What went on at the same time as phases."""
        return self._run.load_phases(background=True)

    @cached_property
    def coverage(self) -> Points:
        """Share of archive cells filled."""
        return self._run.load_metrics("coverage")

    @cached_property
    def shuffled_coverage(self) -> Points:
        """Of the same tasks in random order; in a long run as of the last hundredth of it."""
        key = ("shuffled", self.last_step // max(1, self.last_step // 100))
        return self._run.remember(key, lambda: shuffled_coverage(self._run))

    def _courses(self, names: Iterable[str], prefix: str) -> dict[str, Points]:
        courses = {name: self._run.load_metrics(f"{prefix}/{name}") for name in names}
        return {name: points for name, points in courses.items() if points}

    @cached_property
    def kind_coverage(self) -> Mapping[str, Points]:
        """Kind -> its share of cells filled, with several environments also of which."""
        environments = [*self.config.get("environments", {})]
        # With several environments each has its own archive, and so its own coverage by kind.
        names = [f"{kind}{'' if len(environments) < 2 else f'/{environment}'}"
                 for environment in environments for kind in self.described.kinds]  # fmt: skip
        return self._courses(dict.fromkeys(names), "coverage")

    @cached_property
    def diversity(self) -> Mapping[str, Points]:
        """`group/measure` -> its course."""
        return self._courses((f"{g}/{name}" for g in GROUPS for name in DIVERSITY), "diversity")

    @cached_property
    def alarms(self) -> Mapping[str, Sequence[int]]:
        """Cause -> steps in which it rang."""
        courses = self._courses(CAUSES, "alarm")
        return {name: [step for step, _ in points] for name, points in courses.items()}

    @cached_property
    def mismatch(self) -> Sequence[float]:
        """Of log-probabilities, by step."""
        return [value for _, value in self._run.load_metrics("logprob_mismatch")]

    @cached_property
    def signs(self) -> Sequence[Sign]:
        """Whether it works."""
        return health(self._run)

    @cached_property
    def _measured(self) -> tuple[list[HeldOut], list[Line]]:
        """All suites and benchmarks; bootstraps take time, so once for the same rows."""
        rows = self._run.rows("SELECT count(*), max(id) FROM evaluations WHERE NOT staged")
        living = tuple(member.id for member in self.members if member.died is None)
        return self._run.remember(
            ("measured", *rows[0], living),
            lambda: (results_of(self._run), benchmark_lines(self._run)),
        )

    @property
    def results(self) -> Sequence[HeldOut]:
        """The main suite first."""
        return self._measured[0]

    @property
    def benchmarks(self) -> Sequence[Line]:
        """Greedy before sampled."""
        return self._measured[1]

    def stage(self, name: str, first: int, last: int) -> Stage:
        """Return a few tasks of some steps."""
        key = ("stage", name, first, last)
        return self._run.remember(key, lambda: _stage(self._run, name, first, last))

    @cached_property
    def stages(self) -> Sequence[Stage]:
        """The run's beginning, middle and end."""
        return [self.stage(*bounds) for bounds in stage_bounds(self.steps)]

    @cached_property
    def latest(self) -> Stage | None:
        """The last step."""
        return self.stage("Now", self.last_step, self.last_step) if self.steps else None

    @cached_property
    def peers(self) -> Mapping[str, Counter[str]]:
        """What became of each other node's messages."""
        return load_exchange_counts(self._run)


def described(run: RunReader) -> Described:
    """Return what the run's environments said of themselves when it was made."""
    every = [*(run.meta("environments") or {}).values()]
    kinds, measures = ({item["name"]: item["title"] for one in every for item in one.get(key, ())}
                       for key in ("kinds", "measures"))  # fmt: skip
    difficulties = [one["difficulty"]["title"] for one in every if one.get("difficulty")]
    suites = {suite["name"]: suite["text"] for one in every for suite in one.get("suites", ())}
    reasons = {name: text for one in every for name, text in one.get("reasons", {}).items()}
    payload = {kind: names for one in every for kind, names in one.get("payload", {}).items()}
    return Described(
        kinds, measures, next(iter(difficulties), "difficulty"), suites, reasons, payload
    )


def results_of(run: RunReader) -> list[HeldOut]:
    """Return the results of all suites that were measured, the main one first."""
    kinds = [*described(run).kinds]
    results = [summarize(run, suite, kinds) for suite in ordered_suites(run.suites())]
    return [result for result in results if result is not None]


def stretches(steps: Sequence[int], every: Sequence[int]) -> list[tuple[int, int]]:
    """Return (first, last) of each unbroken row of `steps` within `every`, the run's steps."""
    if not steps:
        return []
    place = {step: i for i, step in enumerate(every)}
    breaks = [(a, b) for a, b in pairwise(steps) if place[b] != place[a] + 1]
    firsts, lasts = [steps[0], *(b for _, b in breaks)], [*(a for a, _ in breaks), steps[-1]]
    return list(zip(firsts, lasts, strict=True))


def stage_bounds(steps: Sequence[int]) -> list[tuple[str, int, int]]:
    """Return (name, first, last step) of the run's beginning, middle and end; fewer if short."""
    if len(steps) < 3:
        return [(name, step, step) for name, step in zip(("Early", "Late"), steps, strict=False)]
    size = max(1, min(STAGE, len(steps) // 10))
    start = (len(steps) - size) // 2
    return [
        ("Early", steps[0], steps[size - 1]),
        ("Middle", steps[start], steps[start + size - 1]),
        ("Late", steps[-size], steps[-1]),
    ]


def pick(outcomes: Sequence[TaskOutcome], count: int = PER_STAGE) -> list[TaskOutcome]:
    """Return tasks to show: of different kinds, and solved sometimes if there are such."""

    def dullness(outcome: TaskOutcome) -> float:
        return abs(outcome.correct / outcome.attempts - 0.5) if outcome.attempts else 1.0

    chosen: list[TaskOutcome] = []
    for outcome in sorted(outcomes, key=dullness):  # stable: ties stay in the order of the run
        if all(outcome.task.kind != other.task.kind for other in chosen):
            chosen.append(outcome)
    chosen += [o for o in sorted(outcomes, key=dullness) if o not in chosen]
    return chosen[:count]


def choose_attempts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the last answers of the first correct and of the first failed attempt, those after the
    longest conversation first; two if all went one way."""
    last = sorted((a for a in attempts if a.final), key=lambda attempt: -attempt.turn)
    checked = [a for a in last if a.verdict is not Verdict.INFRA_ERROR] or last
    right = [a for a in checked if a.verdict is Verdict.CORRECT]
    other = [a for a in checked if a.verdict is not Verdict.CORRECT]
    return [*right[:1], *other[:1]] if right and other else checked[:2]


def _stage(run: RunReader, name: str, first: int, last: int) -> Stage:
    picked = pick(run.load_task_outcomes(first, last))
    tasks = [(o, choose_attempts(run.load_attempts(o.task.id, o.step))) for o in picked]
    return Stage(name, first, last, tasks)
