"""Who generates and who criticises, and what each learns from."""

from dataclasses import replace

import numpy as np
import pytest

from redqueen.config import build_config
from redqueen.errors import ConfigError
from redqueen.learner.advantages.imitation import Imitation
from redqueen.learner.likelihood import cross_likelihood
from redqueen.rollouts.interactions.base import Key
from redqueen.rollouts.interactions.specialists import Specialists
from redqueen.types import Message, Sample
from tests.rollouts.playing import paid, play, posings

FATES = {0: "wc", 1: "cc", 2: "cw", 3: "wx"}
"""Number of an agent in a debate -> the verdicts of its two answers."""


def write(key: Key) -> str:
    match, _, attempt, turn = key
    return f"{FATES[attempt][turn]} by {match}"


def test_generators_answer_first_and_their_critics_go_on() -> None:
    rollouts, rounds = play(Specialists(rounds=2), posings(4)[::-1], 2, write)
    assert rounds == [4, 4]
    # Agent 0 is generator 0 with critic 2, agent 1 generator 1 with critic 3; two debates.
    who = {(r.turn, r.attempt): r.student for r in rollouts}
    assert who == {
        (0, 0): 0, (0, 1): 1, (0, 2): 0, (0, 3): 1,
        (1, 0): 2, (1, 1): 3, (1, 2): 2, (1, 3): 3,
    }  # fmt: skip
    asked = next(r for r in rollouts if (r.turn, r.attempt) == (1, 2)).request.messages
    assert asked[1] == Message("assistant", "c by 0")  # its generator's, of the same debate
    assert asked[2].content.startswith("Another answer: w by 1\n")
    assert all(r.final for r in rollouts)  # each student's last answer of the attempt


@pytest.mark.parametrize(
    ("students", "parts"),
    [(1, {0: 0}), (2, {0: 0, 1: 1}), (3, {0: 2, 1: 1}), (5, {0: 3, 1: 4, 2: 2})],
)
def test_who_has_no_critic_criticises_itself(students: int, parts: dict[int, int]) -> None:
    agents = Specialists().agents(posings(students))
    assert {first.student.id: later.student.id for first, later in agents} == parts


def test_everybody_learns_from_its_own_successes_alone() -> None:
    config, posed = Specialists(rounds=2, repaired=0.75), posings(4)
    rollouts, _ = play(config, posed, 2, write)
    rewards, samples = paid(config, posed, rollouts)
    by_place = {(r.turn, r.attempt): v for r, v in zip(rollouts, rewards, strict=True)}
    assert by_place == {
        (0, 0): None, (0, 1): 1.0, (0, 2): 1.0, (0, 3): None,
        (1, 0): 0.75, (1, 1): 0.25, (1, 2): None, (1, 3): None,
    }  # fmt: skip
    assert {(s.member, s.reward) for s in samples} == {(1, 1.0), (0, 1.0), (2, 0.75), (3, 0.25)}
    assert Imitation().advantages(samples, {}).tolist() == [s.reward for s in samples]


def test_all_that_a_critic_wrote_in_a_repaired_debate_counts() -> None:
    config, posed = Specialists(rounds=3), posings(2)
    rollouts, _ = play(config, posed, 1, lambda key: ("wwc", "xcc")[key[2]][key[3]])
    rewards, _ = paid(config, posed, rollouts)
    by_place = {(r.attempt, r.turn): v for r, v in zip(rollouts, rewards, strict=True)}
    assert [by_place[0, t] for t in range(3)] == [None, 0.5, 0.5]
    # Whether there was anything to repair is unknown where the verifier failed.
    assert [by_place[1, t] for t in range(3)] == [None, None, None]


def test_diversity_is_the_likelihood_of_the_others_answers() -> None:
    config, posed = Specialists(rounds=2), posings(3)
    rollouts, _ = play(config, posed, 2, lambda key: "w")
    asked = []

    def rescore(samples: list[Sample]) -> list[Sample]:
        """Student j gives each token of others -1 - j; everybody gave its own -0.5."""
        asked.extend((s.member, s.slot) for s in samples)
        return [replace(s, logprobs=np.array([0.0, -1.0 - s.slot], np.float32)) for s in samples]

    matches, members = [p.match for p in posed], [p.student for p in posed]
    metrics = cross_likelihood(matches, rollouts, members, 1, rescore)
    assert sorted(asked) == [(0, 1), (1, 0)]  # student 2 is a critic: no first answer
    assert metrics == {"diversity/student/nll": 1.5, "diversity/student/kl": 1.0}
    assert cross_likelihood(matches, rollouts[:1], members, 1, rescore) == {}


def test_its_weights_are_not_to_be_compared() -> None:
    rollout = {"interaction": "specialists", "students_per_task": "all"}
    with pytest.raises(ConfigError, match=r"set learner\.student\.advantage to 'imitation'"):
        build_config({"rollout": rollout})
    build_config({"rollout": rollout, "learner": {"student": {"advantage": "imitation"}}})
