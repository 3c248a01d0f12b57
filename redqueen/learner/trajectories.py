"""From the records of a step to the sequences that are trained on."""

from collections.abc import Iterable

from redqueen.types import Completion, Member, Proposal, Role, Rollout, Trajectory


def _trajectory(
    member: Member, role: Role, kind: str, group: str, completion: Completion, reward: float
) -> Trajectory:
    if completion.slot != member.slot:
        raise ValueError(
            f"a completion of slot {completion.slot} was filed under member {member.id}, "
            f"whose slot is {member.slot}"
        )
    return Trajectory(
        slot=member.slot,
        member=member.id,
        role=role,
        kind=kind,
        group=group,
        prompt_ids=completion.prompt_ids,
        token_ids=completion.token_ids,
        logprobs=completion.logprobs,
        reward=reward,
        temperature=member.temperature,
    )


def make_trajectories(
    proposals: Iterable[Proposal], rollouts: Iterable[Rollout], members: Iterable[Member]
) -> tuple[Trajectory, ...]:
    """Everything with a reward and at least one sampled token, proposals first.

    A teacher's proposals of one kind in one match are a group; so are one student's attempts at
    one task, whoever else attempts it: every student has a match of its own.

    Raises:
        KeyError: an author is not among `members`.
        ValueError: a completion comes from another slot than its author's.
    """
    by_id = {member.id: member for member in members}
    made = [
        _trajectory(
            by_id[p.teacher],
            Role.TEACHER,
            p.kind,
            f"propose/{p.step}/{p.match}/{p.teacher}/{p.kind}",
            p.completion,
            p.reward,
        )
        for p in proposals
        if p.reward is not None and p.completion.token_ids
    ]
    made += [
        _trajectory(
            by_id[r.student],
            Role.STUDENT,
            r.kind,
            f"solve/{r.step}/{r.match}/{r.student}/{r.task_id}",
            r.completion,
            r.reward,
        )
        for r in rollouts
        if r.reward is not None and r.completion.token_ids
    ]
    return tuple(made)
