"""Founders that pose tasks begin by imitating seed tasks: supervised finetuning before step 1.

A base that never writes what a run asks for (a kind of value, a library, a length) has nothing to
be rewarded for. After some updates on proposals that would be seed tasks it writes their like.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from redqueen.config.learner import LearnerConfig
from redqueen.curriculum import Worlds
from redqueen.environments.base import Proposes, TaskSpace
from redqueen.errors import ConfigError
from redqueen.learner.advantages.imitation import Imitation
from redqueen.learner.update import Learner
from redqueen.rng import numpy_rng
from redqueen.types import Member, Messages, Role, Sample, Task

Encode = Callable[[Messages, str], tuple[Sequence[int], Sequence[int]]]
"""A conversation and the reply to it -> the tokens of both; the reply's end with the token that
ends a text."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a teacher is asked, and what it should have written."""

    environment: str
    kind: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]

    def sample(self, member: Member, version: int) -> Sample:
        """Return the lesson as if the member had written it; its log-probabilities are not known
        yet."""
        length = len(self.prompt_ids) + len(self.token_ids)
        return Sample(
            ids=np.array((*self.prompt_ids, *self.token_ids), dtype=np.int32),
            mask=np.arange(length) >= len(self.prompt_ids),
            logprobs=np.zeros(length, dtype=np.float32),
            reward=1.0,
            slot=member.slot,
            member=member.id,
            role=Role.TEACHER,
            environment=self.environment,
            kind=self.kind,
            group="imitation",
            version=version,
            temperature=1.0,
        )


def apprenticeship(config: LearnerConfig) -> LearnerConfig:
    """Return the keys of a learner that imitates: rewards are weights, at a constant rate, and
    nothing holds the teachers to the base."""
    teacher = config.teacher.model_copy(update={"advantage": Imitation()})
    keys = {"teacher": teacher, "learning_rate_end": 1.0, "kl_coefficient": 0.0}
    return config.model_copy(update=keys)


def draw_lessons(
    worlds: Worlds, count: int, references: int, encode: Encode, rng: np.random.Generator
) -> list[Lesson]:
    """Return lessons on seed tasks, drawn evenly; each shows other seed tasks as references.

    Raises:
        ConfigError: no environment has seed tasks and can say how they are proposed.
    """
    taught: list[tuple[str, TaskSpace, Sequence[Task], Task, str]] = []
    for name, world in worlds.items():
        space = world.environment
        if isinstance(space, TaskSpace) and isinstance(space, Proposes):
            for task in world.seed_tasks:
                text = space.proposal(task)
                if text is not None:
                    taught.append((name, space, world.seed_tasks, task, text))
    if not taught:
        raise ConfigError(
            "learner.teacher.imitation.updates: no environment has seed tasks that it can write as "
            "proposals; set it to 0"
        )
    lessons = []
    for place in rng.integers(len(taught), size=count).tolist():
        name, space, seeds, task, text = taught[place]
        others = [other for other in seeds if other.id != task.id]
        shown = min(space.references_for(task.kind, references), len(others))
        chosen = [others[i] for i in rng.permutation(len(others))[:shown].tolist()]
        prompt_ids, token_ids = encode(space.ask(task.kind, chosen), text)
        lessons.append(Lesson(name, task.kind, tuple(prompt_ids), tuple(token_ids)))
    return lessons


def imitate(
    learner: Learner,
    worlds: Worlds,
    teachers: Sequence[Member],
    *,
    updates: int,
    proposals: int,
    references: int,
    encode: Encode,
    sync: Callable[[Sequence[int]], None],
    versions: Mapping[int, int],
    seed: int,
) -> float:
    """Teach every teacher other draws of seed tasks; return the last update's mean loss, in nats a
    token.

    Each update is one step of maximum likelihood on `proposals` texts a teacher. `learner` has an
    optimizer of its own and the keys of `apprenticeship`; `sync` tells the engine of new weights.

    Raises:
        ConfigError: as `draw_lessons`.
    """
    loss = 0.0
    for update in range(updates):
        samples = []
        for member in teachers:
            rng = numpy_rng(seed, "imitation", member.id, update)
            lessons = draw_lessons(worlds, proposals, references, encode, rng)
            samples += [item.sample(member, versions[member.slot]) for item in lessons]
        scored = learner.rescored(samples)
        written = np.concatenate([item.logprobs[item.mask] for item in scored])
        loss = -float(written.mean())
        learner.update(scored, update + 1, versions)
        sync([member.slot for member in teachers])
    return loss
