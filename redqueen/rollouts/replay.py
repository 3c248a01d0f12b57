"""An interaction played again with the texts that were written: what it asked for, and of whom."""

from collections import Counter
from collections.abc import Mapping, Sequence

from redqueen.environments.base import Environment, Verification
from redqueen.rollouts.interactions.base import Fits, InteractionConfig, Key, Turn
from redqueen.rollouts.plan import plan_posings
from redqueen.types import Match, Member, Rollout, Task


def key_of(rollout: Rollout) -> Key:
    """Return what tells a rollout from all others of its step."""
    return rollout.match, rollout.task_id, rollout.attempt, rollout.turn


def play_again(
    config: InteractionConfig,
    matches: Sequence[Match],
    rollouts: Sequence[Rollout],
    tasks: Mapping[str, Task],
    members: Mapping[int, Member],
    environments: Mapping[str, Environment],
    seed: int,
    fits: Fits,
) -> dict[Key, Turn]:
    """Return all that the interaction asks for in a step, when it is told what was written then.

    A task is left out if it, its environment or one of its students is missing; where a text is
    missing, what is asked for afterwards is unknown.
    """
    by_index = {match.index: match for match in matches}
    posed: dict[tuple[int, str], list[Rollout]] = {}
    for rollout in rollouts:
        posed.setdefault((by_index[rollout.match].root, rollout.task_id), []).append(rollout)
    turns: dict[Key, Turn] = {}
    for (root, id_), texts in posed.items():
        students = {match.student for match in matches if match.root == root}
        if id_ not in tasks or not students <= members.keys():
            continue
        if tasks[id_].environment not in environments:
            continue
        pair = (by_index[root], tasks[id_])
        posings = plan_posings([pair], matches, members.__getitem__, environments)
        first = Counter(text.match for text in texts if text.turn == 0)
        attempts = max(first.values(), default=0)
        interaction = config.begin(posings, attempts, texts[0].step, seed, fits)
        told = {key_of(text): text for text in texts}
        while asked := interaction.ask():
            turns |= {turn.key: turn for turn in asked}
            if not all(turn.key in told for turn in asked):
                break
            again = [told[turn.key] for turn in asked]
            interaction.tell([text.completion for text in again], [*map(_verification, again)])
    return turns


def _verification(rollout: Rollout) -> Verification | None:
    if rollout.verdict is None:
        return None
    return Verification(rollout.verdict, rollout.answer, rollout.partial_score)
