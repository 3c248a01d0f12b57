"""What a waiting group must pass before it is learnt from: the task, the answers, the reward.

A foreign task is validated like a teacher's, and every verdict is made again in this node's own
sandbox.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redqueen.environments.base import (
    Attempt,
    Environment,
    Verification,
    environment_version,
    revalidate,
)
from redqueen.screens import Screen, hold_back, is_unsafe
from redqueen.swarm.reasons import RefusedError
from redqueen.swarm.wire import Group
from redqueen.types import Message, Messages, Rejection, Task, Verdict

log = logging.getLogger(__name__)

Reward = Callable[[Verdict, float | None], float | None]
Fits = Callable[[Messages, Sequence[str]], bool]
"""Whether this node's members could have written these answers to a prompt."""


def prompt_of(group: Group) -> Messages:
    """Return the conversation that a group answers."""
    return tuple(Message(turn.role, turn.content) for turn in group.messages)


def words_of(payload: Any) -> str:
    """Return the texts of some JSON, keys included, one below the other."""
    if isinstance(payload, str):
        return payload
    if isinstance(payload, Mapping):
        return "\n".join(f"{key}\n{words_of(value)}" for key, value in payload.items())
    return "\n".join(map(words_of, payload)) if isinstance(payload, list) else ""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges groups with this node's environments."""

    environments: Mapping[str, Environment]
    is_held_out: Callable[[Task], bool]
    reward: Reward
    fits: Fits
    screens: Sequence[Screen] = ()
    """What the words of a task pass before an environment reads them, as a teacher's do."""
    need_right: bool = True
    """See `SwarmConfig`."""

    def judge(self, groups: Sequence[Group]) -> list[tuple[Verification, ...] | str]:
        """Return the verifications of each group's answers, or why it is refused.

        What fails in a check refuses the group that it was for; it never raises.
        """
        results: dict[int, tuple[Verification, ...] | str] = {}
        tasks: dict[int, Task] = {}
        for place, group in enumerate(groups):
            try:
                tasks[place] = self._claimed(group)
            except RefusedError as refused:
                results[place] = refused.reason
        for name, environment in self.environments.items():
            places = [p for p, task in tasks.items() if task.environment == name]
            results |= self._judge_in(environment, places, tasks, groups)
        return [results[place] for place in range(len(groups))]

    def _claimed(self, group: Group) -> Task:
        """Return the task that a group says it answers.

        Raises:
            RefusedError: this node cannot check it, or an answer's end is not what it says.
        """
        environment = self.environments.get(group.environment)
        if environment is None:
            raise RefusedError("unknown_environment")
        if environment_version(environment) != group.environment_version:
            raise RefusedError("other_environment")
        # A token has a byte or more of text, but for one that a tokenizer may strip at the ends.
        least = group.limit // 2
        if any(not a.finished and len(a.text.encode()) < least for a in group.answers):
            raise RefusedError("truncated")
        return Task("", group.environment, group.kind, group.payload)

    def _judge_in(
        self,
        environment: Environment,
        places: Sequence[int],
        tasks: Mapping[int, Task],
        groups: Sequence[Group],
    ) -> dict[int, tuple[Verification, ...] | str]:
        """Judge the groups of one environment: all together, and one by one if that fails."""
        if not places:
            return {}
        try:
            return self._checked(environment, places, tasks, groups)
        except Exception as error:
            # Whatever a peer sends must not stop the step.
            if len(places) > 1:
                return {
                    place: result
                    for one in places
                    for place, result in self._judge_in(environment, [one], tasks, groups).items()
                }
            log.warning("a group of another node could not be checked: %r", error)
            return {places[0]: "check_failed"}

    def _checked(
        self,
        environment: Environment,
        places: Sequence[int],
        tasks: Mapping[int, Task],
        groups: Sequence[Group],
    ) -> dict[int, tuple[Verification, ...] | str]:
        results: dict[int, tuple[Verification, ...] | str] = {}
        posed: dict[int, Task] = {}
        claimed = [tasks[place] for place in places]
        validated = hold_back(
            self.screens,
            [words_of(task.payload) for task in claimed],
            lambda passed: revalidate(environment, [claimed[number] for number in passed]),
        )
        for place, task in zip(places, validated, strict=True):
            if is_unsafe(task):
                results[place] = "unsafe"
            elif isinstance(task, Rejection):
                results[place] = "check_failed" if task.infra else "invalid_task"
            elif self.is_held_out(task):
                results[place] = "held_out"
            elif environment.prompt(task) != prompt_of(groups[place]):
                results[place] = "other_prompt"
            elif not self.fits(prompt_of(groups[place]), [a.text for a in groups[place].answers]):
                results[place] = "unwritable"
            else:
                posed[place] = task
        texts = [(p, task, a.text) for p, task in posed.items() for a in groups[p].answers]
        verified = environment.verify([Attempt(task, text) for _, task, text in texts])
        for place in posed:
            results[place] = self._worth(
                [v for (p, _, _), v in zip(texts, verified, strict=True) if p == place]
            )
        return results

    def _worth(self, verifications: Sequence[Verification]) -> tuple[Verification, ...] | str:
        """Return the verifications if there is something to learn from them."""
        rewards = set[float]()
        for item in verifications:
            reward = self.reward(item.verdict, item.partial_score)
            if reward is None:
                return "check_failed"
            rewards.add(reward)
        if len(rewards) == 1:
            return "no_advantage"
        wrong = self.reward(Verdict.WRONG, None)
        if self.need_right and wrong is not None and max(rewards) <= wrong:
            return "nobody_right"
        return tuple(verifications)
