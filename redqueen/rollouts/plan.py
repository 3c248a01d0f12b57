"""What is asked of whom in a step: proposals of teachers, tasks of the stream, attempts."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from redqueen.config import Config
from redqueen.curriculum.archive import Archive
from redqueen.curriculum.samplers import REFERENCES
from redqueen.environments.base import Domain
from redqueen.errors import ConfigError
from redqueen.population import Population
from redqueen.rng import derive_seed, numpy_rng
from redqueen.types import Match, Proposal, Request, Task

_STREAM_TRIES = 200


@dataclass(frozen=True, slots=True)
class PlannedProposal:
    """One proposal before it is written: who is asked for what, shown which tasks."""

    match: Match
    teacher: int
    kind: str
    references: tuple[Task, ...]
    request: Request


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One attempt before it is written: who tries what, for the how many-th time."""

    match: Match
    task: Task
    number: int
    request: Request


def plan_proposals(
    matches: Sequence[Match],
    population: Population,
    archive: Archive,
    domain: Domain,
    config: Config,
    step: int,
) -> list[PlannedProposal]:
    """What each teacher is asked to write: kinds in turn, with references from the archive."""
    rollout, draw = config.rollout, REFERENCES[config.domain.references]
    planned = []
    for match in matches:
        if match.teacher is None or match.tasks_of is not None:
            continue
        rng = numpy_rng(config.seed, step, "references", match.index)
        author = population.by_id(match.teacher)
        for index in range(rollout.tasks_per_match):
            kind = domain.kinds[(step + match.index + index) % len(domain.kinds)]
            count = domain.references_for(kind, rollout.references)
            references = tuple(draw(archive, kind, count, rng))
            seed = derive_seed(config.seed, step, "propose", match.index, index)
            prompt = domain.ask(kind, references)
            request = Request(author.slot, prompt, seed, author.temperature)
            planned.append(PlannedProposal(match, author.id, kind, references, request))
    return planned


def check_stream(config: Config, domain: Domain) -> None:
    """Check that a run without teachers has tasks of every kind.

    Raises:
        ConfigError: a kind has none of the bands `rollout.stream_bands`.
    """
    if config.population.teachers or config.population.self_play:
        return
    for kind in domain.kinds:
        if not set(config.rollout.stream_bands) & set(domain.bands(kind)):
            known = ", ".join(map(str, domain.bands(kind)))
            raise ConfigError(
                f"rollout.stream_bands has no band of {kind} tasks, whose bands are {known}; add "
                "one or take the kind out of domain.kinds"
            )


def stream_tasks(
    matches: Sequence[Match],
    domain: Domain,
    config: Config,
    step: int,
    is_held_out: Callable[[Task], bool],
) -> list[tuple[Match, Task]]:
    """The tasks of every match against the stream: none is held out, no two alike in a match.

    A task derives from (seed, step, match, number) alone, whatever the students do. Kinds take
    turns and so do the bands of each kind; a student begins where its last match ended.

    Raises:
        ConfigError: the generator has nothing new to offer.
    """
    rollout, students = config.rollout, config.population.students
    streamed = []
    for match in matches:
        if match.teacher is not None or match.tasks_of is not None:
            continue
        lap, seat = divmod(step * rollout.matches + match.index, students)
        known: set[str] = set()
        for number in range(rollout.tasks_per_match):
            turn, which = divmod(seat + lap * rollout.tasks_per_match + number, len(domain.kinds))
            kind = domain.kinds[which]
            bands = [band for band in rollout.stream_bands if band in domain.bands(kind)]
            rng = Random(derive_seed(config.seed, "stream", step, match.index, number))
            band = bands[turn % len(bands)]
            task = _new_task(domain, kind, band, rng, known, is_held_out)
            known.add(task.id)
            streamed.append((match, replace(task, step=step)))
    return streamed


def _new_task(
    domain: Domain,
    kind: str,
    band: int,
    rng: Random,
    known: Collection[str],
    is_held_out: Callable[[Task], bool],
) -> Task:
    for _ in range(_STREAM_TRIES):
        task = domain.generated_task(kind, band, rng)
        if task.id not in known and not is_held_out(task):
            return task
    raise ConfigError(
        f"the stream finds no further {kind} task of band {band}; lower rollout.tasks_per_match or "
        "raise domain.max_program_chars and domain.max_value_chars"
    )


def posed_tasks(
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    streamed: Sequence[tuple[Match, Task]],
) -> list[tuple[Match, Task]]:
    """The valid tasks of teachers and the stream's, each with the match that it was made for."""
    taught = [(matches[p.match], p.outcome) for p in proposals if isinstance(p.outcome, Task)]
    return [*taught, *streamed]


def plan_attempts(
    posed: Sequence[tuple[Match, Task]],
    matches: Sequence[Match],
    population: Population,
    domain: Domain,
    config: Config,
    step: int,
) -> list[PlannedAttempt]:
    """G attempts at every posed task by the matched student, then by the further ones."""
    planned = []
    for root, task in posed:
        prompt = domain.pose(task)
        for match in matches:
            if match.root != root.index:
                continue
            student = population.by_id(match.student)
            for number in range(config.rollout.attempts):
                seed = derive_seed(config.seed, step, "solve", match.index, task.id, number)
                request = Request(student.slot, prompt, seed, student.temperature)
                planned.append(PlannedAttempt(match, task, number, request))
    return planned
