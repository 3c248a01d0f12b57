"""The tree of answers, reviews and refined answers, and the values that go up it."""

from statistics import fmean

import pytest

from redqueen.learner.advantages.grpo import Grpo
from redqueen.rollouts.interactions.malt import Malt
from redqueen.types import Message
from tests.rollouts.playing import paid, play, posings

LEAVES = "cwwwccmx"
"""Verdicts of the refined answers of two answers with two reviews each."""


def write(key: tuple[int, str, int, int]) -> str:
    match, _, attempt, turn = key
    return (
        LEAVES[attempt] if turn == 2 else f"{'w' if turn == 0 else 'review'} {attempt} by {match}"
    )


def test_a_team_of_three_shares_the_parts_by_slot() -> None:
    rollouts, rounds = play(Malt(), posings(3)[::-1], 2, write)
    assert rounds == [2, 4, 8]
    assert {(r.turn, r.student) for r in rollouts} == {(0, 0), (1, 1), (2, 2)}
    assert all((r.verdict is None) == (r.turn == 1) for r in rollouts)
    last = next(r for r in rollouts if (r.turn, r.attempt) == (2, 6))
    assert last.request.messages[1] == Message("assistant", "w 1 by 0")
    assert last.request.messages[3] == Message("assistant", "review 3 by 1")
    assert last.group.endswith("/2/3")  # compared with the others after the same review


def test_values_and_advantages_by_hand() -> None:
    config, posed = Malt(), posings(3)
    rollouts, _ = play(config, posed, 2, write)
    rewards, samples = paid(config, posed, rollouts)
    value = {(r.turn, r.attempt): v for r, v in zip(rollouts, rewards, strict=True)}
    assert [value[2, n] for n in range(8)] == [1.0, -0.5, -0.5, -0.5, 1.0, 1.0, -1.0, None]
    assert [value[1, n] for n in range(4)] == [0.25, -0.5, 1.0, -1.0]
    assert [value[0, n] for n in range(2)] == [-0.125, 0.0]
    # Pairs after the same prompt: the better one has +1/sqrt(2).
    half = 2**-0.5
    hand = [-half, half, half, -half, half, -half, half, -half, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert Grpo().advantages(samples, {}).tolist() == pytest.approx(hand, abs=1e-4)
    labels, _ = paid(Malt(threshold=0.0), posed, rollouts)
    assert labels[:6] == [-1.0, -1.0, 1.0, -1.0, 1.0, -1.0]
    assert labels[-1] is None


def test_the_value_of_an_answer_is_the_mean_over_all_its_leaves() -> None:
    config, posed = Malt(branches=3), posings(3)
    leaves = [("c", "w", "m")[(7 * n + n // 5) % 3] for n in range(18)]
    texts = {2: leaves.__getitem__, 1: str, 0: lambda n: "w"}
    rollouts, _ = play(config, posed, 2, lambda key: texts[key[3]](key[2]))
    rewards, _ = paid(config, posed, rollouts)
    worth = {"c": 1.0, "w": -0.5, "m": -1.0}
    for number in range(2):
        expected = fmean(worth[leaf] for leaf in leaves[9 * number : 9 * number + 9])
        assert rewards[number] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("students", "parts"),
    [
        (1, {0: {0}, 1: {0}, 2: {0}}),
        (2, {0: {0}, 1: {1}, 2: {1}}),
        (5, {0: {0, 3}, 1: {1, 4}, 2: {2, 4}}),
    ],
)
def test_teams_that_are_not_full(students: int, parts: dict[int, set[int]]) -> None:
    config, posed = Malt(branches=1), posings(students)
    rollouts, _ = play(config, posed, 2, lambda key: "c")
    assert {turn: {r.student for r in rollouts if r.turn == turn} for turn in parts} == parts
    keys = [(r.match, r.attempt, r.turn) for r in rollouts]
    assert len(set(keys)) == len(keys) == 6 * -(-students // 3)
    assert set(paid(config, posed, rollouts)[0]) == {1.0}


def test_a_branch_that_is_too_long_ends_without_a_value() -> None:
    config, posed = Malt(), posings(3)
    rollouts, rounds = play(
        config, posed, 2, write, lambda messages: "review 0" not in messages[-2].content
    )
    assert rounds == [2, 4, 6]
    rewards, _ = paid(config, posed, rollouts)
    assert rewards[:4] == [-0.5, 0.0, None, -0.5]
