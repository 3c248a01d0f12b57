"""From the records of a step to the sequences that the learner reads."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from redqueen.learner.assign import Rewards
from redqueen.types import (
    Completion,
    Match,
    Member,
    Proposal,
    Request,
    Role,
    Rollout,
    Sample,
)


def _sample(
    member: Member,
    role: Role,
    request: Request,
    completion: Completion,
    *,
    reward: float,
    environment: str,
    kind: str,
    group: str,
    origin: str = "",
) -> Sample:
    if completion.slot != member.slot:
        raise ValueError(
            f"a completion of slot {completion.slot} was filed under member {member.id}, "
            f"whose slot is {member.slot}"
        )
    prompt, sampled = len(completion.prompt_ids), len(completion.token_ids)
    return Sample(
        ids=np.array((*completion.prompt_ids, *completion.token_ids), dtype=np.int32),
        mask=np.repeat([False, True], [prompt, sampled]),
        logprobs=np.array((*([0.0] * prompt), *completion.logprobs), dtype=np.float32),
        reward=reward,
        slot=member.slot,
        member=member.id,
        role=role,
        environment=environment,
        kind=kind,
        group=group,
        version=completion.version,
        temperature=request.temperature,
        suppression=request.suppression,
        origin=origin,
    )


def make_samples(
    matches: Sequence[Match],
    proposals: Sequence[Proposal],
    rollouts: Sequence[Rollout],
    rewards: Rewards,
    members: Iterable[Member],
    frozen: Collection[Role] = (),
) -> tuple[Sample, ...]:
    """Return what has a reward and at least one sampled token as samples, proposals first.

    Nothing is learnt in the roles of `frozen`, nor by members of the hall of fame.

    A teacher's proposals of one kind in one match are a group; a rollout brings its own.

    Raises:
        KeyError: an author is not among `members`, or a match not among `matches`.
        ValueError: a completion comes from another slot than its author's, or rewards do not fit
            the records.
    """
    by_id = {member.id: member for member in members}
    environments = {match.index: match.environment for match in matches}

    def learns(author: int, role: Role) -> bool:
        return role not in frozen and not by_id[author].is_past

    samples = [
        _sample(
            by_id[p.teacher],
            Role.TEACHER,
            p.request,
            p.completion,
            reward=reward,
            environment=environments[p.match],
            kind=p.kind,
            group=f"propose/{p.step}/{p.match}/{p.teacher}/{p.kind}",
        )
        for p, reward in zip(proposals, rewards.proposals, strict=True)
        if reward is not None and p.completion.token_ids and learns(p.teacher, Role.TEACHER)
    ]
    samples += [
        _sample(
            by_id[r.student],
            Role.STUDENT,
            r.request,
            r.completion,
            reward=reward,
            environment=environments[r.match],
            kind=r.kind,
            group=r.group,
            origin=r.origin,
        )
        for r, reward in zip(rollouts, rewards.rollouts, strict=True)
        if reward is not None and r.completion.token_ids and learns(r.student, Role.STUDENT)
    ]
    return tuple(samples)
