"""What members did of late: the evidence that fitness and diversity rest on beside the ratings."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

from redqueen.types import Proposal, Rollout, Task, Verdict


def _summed(
    one: Mapping[str, float] | Mapping[str, int], other: Mapping[str, float] | Mapping[str, int]
) -> dict[str, Any]:
    names = sorted(one.keys() | other.keys())
    return {name: one.get(name, 0) + other.get(name, 0) for name in names}


@dataclass(frozen=True, slots=True)
class Activity:
    """One member's deeds over some steps. What was lost to failures of ours is left out."""

    proposals: int = 0
    """Proposals that have a reward."""
    reward: float = 0.0
    """Sum of their rewards."""
    attempts: int = 0
    """Attempts that have a verdict."""
    solved: float = 0.0
    """Sum of their scores: 1 if correct; else 0, or its share where there is partial credit."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Proposals by task kind."""
    cells: Mapping[str, int] = field(default_factory=dict)
    """Valid tasks by archive cell."""
    features: Mapping[str, float] = field(default_factory=dict)
    """Sum of each feature over the valid tasks."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """Attempts by `<kind>/<verdict>`."""

    def __add__(self, other: "Activity") -> "Activity":
        return Activity(
            proposals=self.proposals + other.proposals,
            reward=self.reward + other.reward,
            attempts=self.attempts + other.attempts,
            solved=self.solved + other.solved,
            kinds=_summed(self.kinds, other.kinds),
            cells=_summed(self.cells, other.cells),
            features=_summed(self.features, other.features),
            verdicts=_summed(self.verdicts, other.verdicts),
        )


IDLE = Activity()


def _proposed(proposal: Proposal, cell: Callable[[Task], str]) -> Activity:
    task = proposal.outcome if isinstance(proposal.outcome, Task) else None
    return Activity(
        proposals=1,
        reward=proposal.reward or 0.0,
        kinds={proposal.kind: 1},
        cells={cell(task): 1} if task else {},
        features=dict(task.features) if task else {},
    )


def _attempted(rollout: Rollout) -> Activity:
    correct = rollout.verdict is Verdict.CORRECT
    return Activity(
        attempts=1,
        solved=1.0 if correct else rollout.share or 0.0,
        verdicts={f"{rollout.kind}/{rollout.verdict.value}": 1},
    )


def step_activity(
    proposals: Iterable[Proposal], rollouts: Iterable[Rollout], cell: Callable[[Task], str]
) -> dict[int, Activity]:
    """What each member did in one step, by member id; `cell` is the archive's feature cell."""
    deeds: dict[int, list[Activity]] = {}
    for proposal in proposals:
        if proposal.reward is not None:
            deeds.setdefault(proposal.teacher, []).append(_proposed(proposal, cell))
    for rollout in rollouts:
        if rollout.verdict is not Verdict.INFRA_ERROR:
            deeds.setdefault(rollout.student, []).append(_attempted(rollout))
    return {member: total(own) for member, own in deeds.items()}


def total(deeds: Iterable[Activity]) -> Activity:
    """The sum, from left to right."""
    return reduce(Activity.__add__, deeds, IDLE)


class Chronicle:
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
        """What the member did since the last generation (or its birth)."""
        return self._generation.get(member, IDLE)

    def recent(self, member: int) -> Activity:
        """What the member did in the last `window` steps."""
        return total(step[member] for step in self._recent if member in step)

    def begin_generation(self, living: Sequence[int]) -> None:
        """Forget the dead, and what the living did for the fitness of the last generation."""
        self._generation = {}
        for step in self._recent:
            for member in step.keys() - set(living):
                del step[member]

    def state(self) -> dict[str, Any]:
        """Plain JSON for a checkpoint."""
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
