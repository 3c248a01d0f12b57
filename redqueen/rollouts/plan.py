"""What is asked of whom in a step: proposals of teachers, tasks put to students."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain

from redqueen.curriculum.archive import Archive
from redqueen.curriculum.samplers import ReferenceRule
from redqueen.environments.base import Draft, Environment, TaskSpace
from redqueen.population import Population
from redqueen.rng import derive_seed, numpy_rng
from redqueen.rollouts.interactions.base import Posing
from redqueen.types import (
    Completion,
    Judgement,
    Match,
    Member,
    Messages,
    Proposal,
    Request,
    Rollout,
    Suppression,
    Task,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class PlannedProposal:
    """One proposal before it is written: who is asked for what, shown which tasks."""

    match: Match
    teacher: int
    kind: str
    references: tuple[Task, ...]
    request: Request

    def draft(self, completion: Completion) -> tuple[str, Draft]:
        """Return what was written, to be validated, with the name of its environment."""
        match, text = self.match, completion.text
        return match.environment, Draft(self.kind, text, self.references, self.teacher, match.step)


def plan_proposals(
    matches: Sequence[Match],
    population: Population,
    spaces: Mapping[str, TaskSpace],
    archives: Mapping[str, Archive],
    references: ReferenceRule,
    *,
    tasks_per_match: int,
    reference_count: int,
    temperature: float | None = None,
    dropout: float = 0.0,
    step: int,
    seed: int,
    fits: Callable[[Messages], bool] = lambda messages: True,
) -> list[PlannedProposal]:
    """Return what each teacher is asked to write: kinds in turn, with references drawn by
    `references` from the archive of the match's environment, as many as fit.

    A teacher without a temperature of its own gets `temperature` (None: the run's). With `dropout`
    all proposals of a teacher in a step do without the same tokens.
    """
    planned = []
    for match in matches:
        if match.teacher is None or match.tasks_of is not None:
            continue
        space, archive = spaces[match.environment], archives[match.environment]
        rng = numpy_rng(seed, step, "references", match.index)
        author = population.by_id(match.teacher)
        heat = temperature if author.temperature is None else author.temperature
        suppression = None
        if dropout:
            drawn = derive_seed(seed, step, "vocabulary", author.id)
            suppression = Suppression(dropout, drawn, getattr(space, "proposal_format", ()))
        for index in range(tasks_per_match):
            kind = space.kinds[(step + match.index + index) % len(space.kinds)]
            shown = tuple(
                references(archive, kind, space.references_for(kind, reference_count), rng)
            )
            messages = space.ask(kind, shown)
            while len(shown) > space.references_for(kind, 0) and not fits(messages):
                shown = shown[:-1]
                messages = space.ask(kind, shown)
            draws = derive_seed(seed, step, "propose", match.index, index)
            request = Request(author.slot, messages, draws, heat, suppression)
            planned.append(PlannedProposal(match, author.id, kind, shown, request))
    return planned


def posed_tasks(
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    streamed: Sequence[tuple[Match, Task]],
) -> list[tuple[Match, Task]]:
    """Return the valid tasks of teachers, then the stream's, each with its match.

    Matches go by their index, which in a further round is not their place.
    """
    by_index = {match.index: match for match in matches}
    taught = [(by_index[p.match], p.outcome) for p in proposals if isinstance(p.outcome, Task)]
    return [*taught, *streamed]


def plan_posings(
    posed: Sequence[tuple[Match, Task]],
    matches: Sequence[Match],
    member: Callable[[int], Member],
    environments: Mapping[str, Environment],
) -> list[Posing]:
    """Return every posed task put to the matched student, then to the further ones.

    `member` finds a member by its id.
    """
    planned = []
    for root, task in posed:
        prompt = environments[task.environment].prompt(task)
        for match in matches:
            if match.root == root.index:
                planned.append(Posing(match, task, prompt, member(match.student)))
    return planned


@dataclass(frozen=True, slots=True)
class Round:
    """What some matches came to before anything is learnt from it."""

    matches: tuple[Match, ...]
    proposals: tuple[Proposal, ...]
    shown: tuple[Task, ...]
    """References that are in no archive."""
    streamed: tuple[Task, ...]
    posed: tuple[tuple[Match, Task], ...]
    rollouts: tuple[Rollout, ...]
    judgements: tuple[Judgement, ...]

    @classmethod
    def joined(cls, rounds: Sequence["Round"]) -> "Round":
        """Return several rounds as one."""
        columns = ([getattr(item, field.name) for item in rounds] for field in fields(cls))
        return cls(*(tuple(chain.from_iterable(column)) for column in columns))


def mixed_groups(rollouts: Sequence[Rollout]) -> int:
    """Return how many groups have right answers and others, infrastructure errors left out."""
    verdicts: defaultdict[str, set[bool]] = defaultdict(set)
    for rollout in rollouts:
        if rollout.verdict not in (None, Verdict.INFRA_ERROR):
            verdicts[rollout.group].add(rollout.verdict is Verdict.CORRECT)
    return sum(len(seen) == 2 for seen in verdicts.values())
