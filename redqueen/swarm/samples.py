"""From groups of other nodes to what the learner reads, in this node's own tokens."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from redqueen.swarm.judge import Reward, prompt_of
from redqueen.swarm.wire import decode
from redqueen.types import ForeignGroup, Member, Messages, Role, Sample


class Codec(Protocol):
    """Turns texts into the base's tokens."""

    def prompt(self, messages: Messages) -> tuple[int, ...]:
        """Return the tokens of a conversation, ready to be continued."""
        ...

    def answer(self, text: str, finished: bool) -> tuple[int, ...] | None:
        """Return the tokens of a continuation, with the end of sequence if it is finished; None if
        it holds special tokens, which no member writes as text."""
        ...


def foreign_samples(
    groups: Sequence[ForeignGroup],
    members: Iterable[Member],
    codec: Codec,
    reward: Reward,
    step: int,
    version: int,
) -> list[Sample]:
    """Return the samples of groups, with log-probabilities of 0: they are yet to be scored.

    Raises:
        KeyError: the student of a group is not among `members`.
    """
    by_id = {member.id: member for member in members}
    samples = []
    for index, drawn in enumerate(groups):
        group, student = decode(drawn.message, len(drawn.message)).group, by_id[drawn.student]
        prompt = codec.prompt(prompt_of(group))
        judged = zip(group.answers, drawn.verdicts, drawn.partial_scores, strict=True)
        for answer, verdict, score in judged:
            tokens, worth = codec.answer(answer.text, answer.finished), reward(verdict, score)
            if not tokens or worth is None:
                continue
            ids = np.array((*prompt, *tokens), dtype=np.int32)
            samples.append(
                Sample(
                    ids=ids,
                    mask=np.repeat([False, True], [len(prompt), len(tokens)]),
                    logprobs=np.zeros(len(ids), dtype=np.float32),
                    reward=worth,
                    slot=student.slot,
                    member=student.id,
                    role=Role.STUDENT,
                    environment=group.environment,
                    kind=group.kind,
                    group=f"swarm/{step}/{index}",
                    version=version,
                    temperature=student.temperature,
                    origin=drawn.origin,
                )
            )
    return samples
