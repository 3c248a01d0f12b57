"""Which records become samples, and what is in them."""

from dataclasses import replace

import numpy as np
import pytest

from redqueen.learner import Rewards, make_samples
from redqueen.types import Match, Member, Role, Suppression, Verdict
from tests.learner.records import attempts, proposal, text

MEMBERS = (
    Member(7, 0, (Role.TEACHER,), 25.0, 8.0),
    Member(9, 1, (Role.STUDENT,), 25.0, 8.0),
)
MATCH = Match(1, 1, 7, 9, environment="math")


def taught() -> object:
    return replace(proposal("a", match=1), teacher=7)


def test_samples_are_what_has_a_reward_and_tokens() -> None:
    long = text(1, (4, 5, 6), version=3)
    warm = replace(attempts(MATCH, "a", Verdict.CORRECT, completion=long)[0].request,
                   temperature=0.7, suppression=Suppression(opening=("x",)))  # fmt: skip
    rollouts = [
        *(replace(r, request=warm) for r in attempts(MATCH, "a", Verdict.CORRECT, completion=long)),
        *attempts(MATCH, "a", Verdict.INFRA_ERROR, completion=text(1)),
        *attempts(MATCH, "b", Verdict.MALFORMED, completion=text(1, ())),
        *(
            replace(r, origin="elsewhere")
            for r in attempts(MATCH, "b", Verdict.WRONG, completion=text(1))
        ),
    ]
    rewards = Rewards((0.5, None), (1.0, None, -1.0, -0.5))
    teacher, first, second = make_samples(
        [replace(MATCH, index=0), MATCH], [taught(), taught()], rollouts, rewards, MEMBERS
    )
    assert (teacher.slot, teacher.member, teacher.role) == (0, 7, Role.TEACHER)
    assert teacher.group == "propose/1/1/7/code_o"
    assert (teacher.reward, teacher.environment, teacher.temperature) == (0.5, "math", None)
    assert first.ids.tolist() == [1, 2, 4, 5, 6]
    assert first.ids.dtype == np.int32
    assert first.mask.tolist() == [False, False, True, True, True]
    assert first.prompt_length == 2
    assert first.logprobs.tolist() == [0.0, 0.0, -0.5, -0.5, -0.5]
    assert first.logprobs.dtype == np.float32
    assert (first.version, first.temperature, first.origin) == (3, 0.7, "")
    assert (first.suppression, second.suppression) == (warm.suppression, None)
    assert (first.group, second.group) == ("solve/1/1/9/a", "solve/1/1/9/b")
    assert (second.reward, second.origin) == (-0.5, "elsewhere")


def test_frozen_roles_give_no_samples() -> None:
    rollouts = attempts(MATCH, "a", Verdict.CORRECT, completion=text(1))
    for frozen, roles in (
        ({Role.TEACHER}, [Role.STUDENT]),
        ({Role.STUDENT}, [Role.TEACHER]),
        (set(Role), []),
    ):
        samples = make_samples(
            [replace(MATCH, index=0), MATCH], [taught()], rollouts, Rewards((0.5,), (1.0,)),
            MEMBERS, frozen,
        )  # fmt: skip
        assert [sample.role for sample in samples] == roles


def test_records_that_do_not_fit_are_refused() -> None:
    rollouts = attempts(MATCH, "a", Verdict.CORRECT, completion=text(0))
    with pytest.raises(ValueError, match="slot 0 was filed under member 9"):
        make_samples([MATCH], [], rollouts, Rewards((), (1.0,)), MEMBERS)
    with pytest.raises(KeyError):
        make_samples([MATCH], [taught()], [], Rewards((0.5,), ()), MEMBERS[1:])
    with pytest.raises(ValueError, match="zip"):
        make_samples([MATCH], [taught()], [], Rewards((), ()), MEMBERS)
