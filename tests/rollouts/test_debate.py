"""Who reads what of whom in a debate, and what answers are paid, by hand and by a slow loop."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redqueen.config import build_config
from redqueen.errors import ConfigError
from redqueen.learner.advantages.grpo import Grpo
from redqueen.rollouts.interactions.base import Key
from redqueen.rollouts.interactions.debate import Debate
from redqueen.types import Message, Rollout
from tests.rollouts.playing import paid, play, posings

WORTH = {"c": 1.0, "w": -0.5, "m": -1.0}
FIRST = {(0, 0): "wcc", (1, 0): "cwc", (0, 1): "www", (1, 1): "xmw"}
"""(student, debate) -> the verdicts of its answers in three rounds."""


def write(key: Key) -> str:
    """The verdict's letter, then who wrote it when."""
    match, _, attempt, turn = key
    return f"{FIRST[match, attempt][turn]} by {match} in {attempt}.{turn}"


def of(rollouts: list[Rollout], student: int, attempt: int, turn: int) -> Rollout:
    (hit,) = [r for r in rollouts if (r.student, r.attempt, r.turn) == (student, attempt, turn)]
    return hit


def test_everybody_reads_the_last_answers_of_the_same_debate() -> None:
    rollouts, rounds = play(Debate(), posings(3), 2, lambda key: f"w{key[0]}.{key[2]}.{key[3]}")
    assert rounds == [6, 6, 6]
    asked = of(rollouts, 1, 0, 2).request.messages
    assert [turn.role for turn in asked] == ["user", "assistant", "user"]
    assert (asked[0].content, asked[1].content) == ("solve t", "w1.0.1")
    assert asked[2].content.startswith("Another answer: w0.0.1\n\nAnother answer: w2.0.1\n\n")
    assert all(r.final == (r.turn == 2) for r in rollouts)
    assert {r.request.slot for r in rollouts if r.student == 2} == {2}


def test_rewards_and_advantages_by_hand() -> None:
    config, posed = Debate(discount=0.5, correction=0.5), posings(2)
    rollouts, _ = play(config, posed, 2, write)
    rewards, samples = paid(config, posed, rollouts)
    by_place = {(r.student, r.attempt, r.turn): v for r, v in zip(rollouts, rewards, strict=True)}
    # Debate 0: the means of the rounds are 0.25, 0.25 and 1.
    assert by_place[0, 0, 0] == pytest.approx((-0.5 + 0.5 * 0.25 + 0.25 * 1.0) / 1.75)
    assert by_place[0, 0, 1] == pytest.approx((1.0 + 0.5 * 1.0) / 1.5 + 0.5)  # mended
    assert by_place[0, 0, 2] == 1.0
    assert by_place[1, 0, 0] == pytest.approx((1.0 + 0.5 * 0.25 + 0.25 * 1.0) / 1.75)
    assert by_place[1, 0, 1] == pytest.approx((-0.5 + 0.5 * 1.0) / 1.5 - 0.5)  # spoiled
    assert by_place[1, 0, 2] == 1.5
    # Debate 1: the verifier failed on student 1's first answer; means -0.5, -0.75, -0.5.
    assert by_place[1, 1, 0] is None
    assert by_place[0, 1, 0] == pytest.approx((-0.5 - 0.5 * 0.75 - 0.25 * 0.5) / 1.75)
    assert by_place[1, 1, 1] == pytest.approx((-1.0 - 0.5 * 0.5) / 1.5)
    # A group is the same student and round of both debates; the half of two is ±1/sqrt(2).
    advantages = Grpo().advantages(samples, {})
    found = dict(zip([(s.member, s.group) for s in samples], advantages, strict=True))
    assert len({group for _, group in found}) == 6
    for sample, advantage in zip(samples, advantages, strict=True):
        others = [s.reward for s in samples if s.group == sample.group and s is not sample]
        sign = [0.0] if not others else [(sample.reward > others[0]) - (sample.reward < others[0])]
        assert advantage == pytest.approx(sign[0] / 2**0.5, abs=1e-4)


TABLES = st.integers(2, 3).flatmap(
    lambda rounds: st.lists(
        st.text("cwm", min_size=rounds, max_size=rounds), min_size=2, max_size=4
    )
)


@given(TABLES, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.5]))
def test_rewards_are_those_of_a_slow_loop(table: list[str], g: float, bonus: float) -> None:
    config = Debate(rounds=len(table[0]), discount=g, correction=bonus)
    posed = posings(len(table))
    rollouts, _ = play(config, posed, 1, lambda key: table[key[0]][key[3]])
    for rollout, reward in zip(rollouts, paid(config, posed, rollouts)[0], strict=True):
        i, t, last = rollout.student, rollout.turn, len(table[0])
        total = WORTH[table[i][t]]
        for u in range(t + 1, last):
            total += g ** (u - t) * fmean(WORTH[row[u]] for row in table)
        expected = total / sum(g ** (u - t) for u in range(t, last))
        if t:
            expected += bonus * ((table[i][t] == "c") - (table[i][t - 1] == "c"))
        assert reward == pytest.approx(expected)


def test_a_tree_goes_on_from_the_best_answers() -> None:
    verdicts = {(0, 0): "mw", (0, 1): "ww", (1, 0): "wc", (1, 1): "cw"}
    config, posed = Debate(rounds=2, tree=True), posings(2)
    rollouts, _ = play(config, posed, 2, lambda key: verdicts[key[0], key[2]][key[3]] + str(key))
    asked = {r.request.messages for r in rollouts if r.student == 0 and r.turn == 1}
    assert len(asked) == 1  # one prompt for the group
    (_, own, read) = asked.pop()
    assert own == Message("assistant", "w(0, 't', 1, 0)")
    assert read.content.startswith("Another answer: c(1, 't', 1, 0)\n")
    rewards, _ = paid(config, posed, rollouts)
    letters = [verdicts[r.student, r.attempt][r.turn] for r in rollouts]
    assert rewards == [WORTH[letter] for letter in letters]


@pytest.mark.parametrize("tree", [False, True])
def test_a_summary_is_written_first_and_is_not_trained_on(tree: bool) -> None:
    config, posed = Debate(rounds=2, reads="summary", tree=tree), posings(2)
    texts = {0: "w", 1: "both guess", 2: "c"}
    rollouts, rounds = play(config, posed, 2, lambda key: texts[key[3]])
    assert rounds == [4, 2 if tree else 4, 4]
    rewards, samples = paid(config, posed, rollouts)
    for rollout, reward in zip(rollouts, rewards, strict=True):
        assert (rollout.verdict is None) == (rollout.turn == 1) == (reward is None)
        assert rollout.final == (rollout.turn == 2)
    assert len(samples) == 8
    asked = of(rollouts, 0, 1, 2).request.messages
    assert asked[3] == Message("assistant", "both guess")
    assert "Another answer: w" in asked[2].content


def test_the_others_answers_alone_can_be_read() -> None:
    rollouts, _ = play(
        Debate(rounds=2, reads="answers"), posings(2), 1, lambda key: "m" * key[0] or "w"
    )
    read = of(rollouts, 1, 0, 1).request.messages[2].content
    assert read.startswith("Another answer: w\n")


def test_who_has_no_room_falls_silent_and_is_read_on() -> None:
    def fits(messages: tuple[Message, ...]) -> bool:
        return "w0" not in messages[1].content

    config, posed = Debate(), posings(2)
    rollouts, rounds = play(config, posed, 1, lambda key: f"w{key[0]}", fits)
    assert rounds == [2, 1, 1]
    assert "Another answer: w0" in of(rollouts, 1, 0, 2).request.messages[2].content
    assert [r.final for r in rollouts] == [True, False, False, True]
    assert paid(config, posed, rollouts)[0] == pytest.approx([-0.5] * 4)


def test_a_debate_needs_two_students() -> None:
    rollout = {"interaction": "debate", "matches": 1}
    with pytest.raises(ConfigError, match="needs 2 students a task"):
        build_config({"rollout": rollout})
    with pytest.raises(ConfigError, match="give 1"):
        build_config({"rollout": {**rollout, "students_per_task": "all"},
                      "population": {"students": 1}})  # fmt: skip
    build_config({"rollout": {**rollout, "students_per_task": "all"}})
    assert play(Debate(), posings(1), 2, lambda key: "w")[1] == [2]
