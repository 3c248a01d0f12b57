"""What members did of late: the evidence that fitness and diversity rest on besides the ratings."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

from redqueen.types import Proposal, Rollout, Task

Counts = Mapping[str, int]


def _sum(one: Counts, other: Counts) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted(one.keys() | other)}


@dataclass(frozen=True, slots=True)
class Activity:
    """What one member did over some steps. What was lost to infrastructure errors is left out."""

    proposals: int = 0
    """Proposals that have a reward."""
    reward: float = 0.0
    """Sum of their rewards."""
    attempts: int = 0
    """Attempts that have a verdict."""
    solved: float = 0.0
    """Sum of their scores (`Rollout.score`)."""
    cells: Counts = field(default_factory=dict)
    """Valid tasks by archive cell."""
    verdicts: Mapping[str, Counts] = field(default_factory=dict)
    """Attempts by task kind, then verdict."""

    def __add__(self, other: "Activity") -> "Activity":
        kinds = sorted(self.verdicts.keys() | other.verdicts)
        return Activity(
            proposals=self.proposals + other.proposals,
            reward=self.reward + other.reward,
            attempts=self.attempts + other.attempts,
            solved=self.solved + other.solved,
            cells=_sum(self.cells, other.cells),
            verdicts={
                kind: _sum(self.verdicts.get(kind, {}), other.verdicts.get(kind, {}))
                for kind in kinds
            },
        )


IDLE = Activity()


def step_activity(
    proposals: Sequence[Proposal],
    proposal_rewards: Sequence[float | None],
    rollouts: Iterable[Rollout],
    cell: Callable[[Task], str],
) -> dict[int, Activity]:
    """Return what each member did in one step, by member id.

    `proposal_rewards` has one entry for each proposal; `cell` gives the archive's cell of a task.
    """
    activities: dict[int, Activity] = {}

    def add(member: int, activity: Activity) -> None:
        activities[member] = activities.get(member, IDLE) + activity

    for proposal, reward in zip(proposals, proposal_rewards, strict=True):
        if reward is not None:
            task = proposal.outcome if isinstance(proposal.outcome, Task) else None
            cells = {cell(task): 1} if task else {}
            add(proposal.teacher, Activity(proposals=1, reward=reward, cells=cells))
    for rollout in rollouts:
        if rollout.verdict is not None and rollout.score is not None:
            verdicts = {rollout.kind: {rollout.verdict.value: 1}}
            add(rollout.student, Activity(attempts=1, solved=rollout.score, verdicts=verdicts))
    return activities


def total(activities: Iterable[Activity]) -> Activity:
    """Return the sum, from left to right."""
    return reduce(Activity.__add__, activities, IDLE)


class BehaviourLog:
    """Activities of the living: since the last generation, and over the last `window` steps.

    The first is what fitness judges, the second what diversity compares; a generation begins the
    first anew and leaves the second.
    """

    def __init__(self, window: int) -> None:
        self._generation: dict[int, Activity] = {}
        self._recent: deque[dict[int, Activity]] = deque(maxlen=window)

    def add(self, step: Mapping[int, Activity]) -> None:
        """Append one step."""
        for member, activity in step.items():
            self._generation[member] = self._generation.get(member, IDLE) + activity
        self._recent.append(dict(step))

    def since_generation(self, member: int) -> Activity:
        """Return what the member did since the last generation (or its birth)."""
        return self._generation.get(member, IDLE)

    def recent(self, member: int) -> Activity:
        """Return what the member did in the last `window` steps."""
        return total(step[member] for step in self._recent if member in step)

    def begin_generation(self, living: Sequence[int]) -> None:
        """Forget the dead, and what the living did for the fitness of the last generation."""
        self._generation = {}
        for step in self._recent:
            for member in step.keys() - set(living):
                del step[member]

    def state(self) -> dict[str, Any]:
        """Return plain JSON for a checkpoint."""
        return {
            "generation": {str(k): asdict(v) for k, v in self._generation.items()},
            "recent": [{str(k): asdict(v) for k, v in step.items()} for step in self._recent],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned; floats come back with the same bits."""

        def read(step: Mapping[str, Any]) -> dict[int, Activity]:
            return {int(member): Activity(**fields) for member, fields in step.items()}

        self._generation = read(state["generation"])
        self._recent = deque(map(read, state["recent"]), maxlen=self._recent.maxlen)
