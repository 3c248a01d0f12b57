"""From a run's database to plain data: all that the report draws, and nothing about drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from redqueen.alarms import CAUSES
from redqueen.report.benchmarks import Line, benchmark_lines
from redqueen.report.health import Sign, health
from redqueen.report.heldout import HeldOut, ordered_suites, summarize
from redqueen.report.rarefaction import shuffled_coverage
from redqueen.store import (
    Attempt,
    MatrixCell,
    OutcomeCount,
    PhaseTime,
    RatingPoint,
    RunReader,
    SolveCount,
    TaskOutcome,
)
from redqueen.types import MatchResult, Member, Verdict

Points = list[tuple[int, float]]
"""(step, value), in step order."""
GROUPS = ("teacher", "student", "self_play")
DIVERSITY = ("weights_mean", "weights_effective", "behaviour_mean", "nll", "kl")
PER_STAGE = 2


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


@dataclass(frozen=True, slots=True)
class RunData:
    """A run as a person is shown it."""

    path: str
    """As it was given."""
    directory: str
    """The last part of the path."""
    config: Mapping[str, Any]
    created: str | None
    version: str | None
    """Of redqueen, when the run was made."""
    described: Described
    sizes: Sizes
    last_step: int
    steps: Sequence[int]
    members: Sequence[Member]
    """Without those of the hall of fame."""
    past: Sequence[Member]
    """The hall of fame, also who has left it."""
    matches: Sequence[MatchResult]
    ratings: Sequence[RatingPoint]
    matrix: Sequence[MatrixCell]
    solve_counts: Sequence[SolveCount]
    turn_counts: Sequence[SolveCount]
    """The same of the answers in each turn; the turn takes the kind's place."""
    outcomes: Sequence[OutcomeCount]
    features: Sequence[tuple[int, str, Mapping[str, float]]]
    phases: Sequence[PhaseTime]
    background: Sequence[PhaseTime]
    """What went on at the same time as phases."""
    coverage: Points
    shuffled_coverage: Points
    """Of the same tasks in random order."""
    kind_coverage: Mapping[str, Points]
    diversity: Mapping[tuple[str, str], Points]
    """(group, measure) -> its course."""
    alarms: Mapping[str, Sequence[int]]
    """Cause -> steps in which it rang."""
    mismatch: Sequence[float]
    """Of log-probabilities, by step."""
    signs: Sequence[Sign]
    """Whether it works."""
    results: Sequence[HeldOut]
    """The main suite first."""
    benchmarks: Sequence[Line]
    stages: Sequence[Stage]

    @property
    def is_stream(self) -> bool:
        """Whether tasks come from the stream: students and nobody who proposes."""
        return not self.sizes.teachers and not self.sizes.self_play


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
    size = max(1, len(steps) // 10)
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


def _stages(run: RunReader) -> list[Stage]:
    stages = []
    for name, first, last in stage_bounds(run.steps()):
        picked = pick(run.load_task_outcomes(first, last))
        tasks = [(o, choose_attempts(run.load_attempts(o.task.id, o.step))) for o in picked]
        stages.append(Stage(name, first, last, tasks))
    return stages


def read_run(run: RunReader) -> RunData:
    """Return all that the report shows of a run.

    Raises:
        InfrastructureError: the database failed.
    """
    config, about = run.config_values(), described(run)
    members = run.load_members()
    population = config.get("population", {})
    environments = [*config.get("environments", {})]
    # With several environments each has its own archive, and so its own coverage by kind.
    names = [f"{kind}{'' if len(environments) < 2 else f'/{environment}'}"
             for environment in environments for kind in about.kinds]  # fmt: skip
    courses = {name: run.load_metrics(f"coverage/{name}") for name in dict.fromkeys(names)}
    diversity = {
        (group, name): run.load_metrics(f"diversity/{group}/{name}")
        for group in GROUPS
        for name in DIVERSITY
    }
    alarms = {name: [step for step, _ in run.load_metrics(f"alarm/{name}")] for name in CAUSES}
    return RunData(
        path=str(run.directory),
        directory=run.directory.name,
        config=config,
        created=run.meta("created"),
        version=run.meta("redqueen_version"),
        described=about,
        sizes=Sizes(*(population.get(role, 0) for role in ("teachers", "students", "self_play"))),
        last_step=run.last_step(),
        steps=run.steps(),
        members=[member for member in members if not member.is_past],
        past=[member for member in members if member.is_past],
        matches=run.load_matches(),
        ratings=run.load_ratings(),
        matrix=run.load_matrix(),
        solve_counts=run.load_solve_counts(),
        turn_counts=run.load_turn_counts(),
        outcomes=run.load_outcomes(),
        features=run.load_features(),
        phases=run.load_phases(),
        background=run.load_phases(background=True),
        coverage=run.load_metrics("coverage"),
        shuffled_coverage=shuffled_coverage(run),
        kind_coverage={name: points for name, points in courses.items() if points},
        diversity={key: points for key, points in diversity.items() if points},
        alarms={name: steps for name, steps in alarms.items() if steps},
        mismatch=[value for _, value in run.load_metrics("logprob_mismatch")],
        signs=health(run),
        results=results_of(run),
        benchmarks=benchmark_lines(run),
        stages=_stages(run),
    )
