"""Answer, hear of it, answer again: who goes on, what is said, what it pays."""

import pytest

from redqueen.learner.advantages.grpo import Grpo
from redqueen.learner.metrics import step_metrics
from redqueen.population.ratings import solve_rate
from redqueen.rollouts.interactions.independent import Independent
from redqueen.rollouts.interactions.refine import Refine
from redqueen.types import Message
from tests.rollouts.playing import paid, play, posings

TEXTS = {
    (0, "t", 0, 0): "c", (0, "t", 1, 0): "w1", (0, "t", 2, 0): "m", (0, "t", 3, 0): "x",
    (0, "t", 1, 1): "c", (0, "t", 2, 1): "w2", (0, "t", 2, 2): "w3",
}  # fmt: skip
"""(match, task, attempt, turn) -> text; the letter is the verdict."""


def test_who_is_wrong_answers_again_and_the_last_answers_count() -> None:
    config, posed = Refine(answers=3), posings()
    rollouts, rounds = play(config, posed, 4, TEXTS.__getitem__)
    assert rounds == [4, 2, 1]
    assert [(r.attempt, r.turn, r.final) for r in rollouts] == [
        (0, 0, True), (1, 0, False), (2, 0, False), (3, 0, True),
        (1, 1, True), (2, 1, False), (2, 2, True),
    ]  # fmt: skip
    assert solve_rate(rollouts) == 2 / 3  # of attempts 0, 1 and 2; the verifier failed on 3
    metrics = step_metrics([], rollouts)
    turns = [metrics[f"solve_rate/turn/{k}"] for k in range(3)]
    assert (metrics["solve_rate"], turns) == (2 / 3, [1 / 3, 1 / 2, 0.0])
    assert metrics["infra_rate"] == 1 / 7


def test_rewards_and_advantages_by_hand() -> None:
    config, posed = Refine(answers=3, correction=0.25), posings()
    rollouts, _ = play(config, posed, 4, TEXTS.__getitem__)
    rewards, samples = paid(config, posed, rollouts)
    # The second answer of attempt 1 mends the first: 1 + 0.25.
    assert rewards == [1.0, -0.5, -1.0, None, 1.25, -0.5, -0.5]
    # Turn 0: 1, -0.5, -1, mean -1/6, unbiased deviation 1.0408; turn 1: 1.25 and -0.5.
    expected = [1.12090, -0.32026, -0.80064, 0.70711, -0.70711, 0.0]
    assert Grpo().advantages(samples, {}).tolist() == pytest.approx(expected, abs=1e-4)
    assert len({s.group for s in samples}) == 3


def test_a_spoiled_answer_pays_what_a_mended_one_earns() -> None:
    config, posed = Refine(says="nothing"), posings()
    texts = {(0, "t", 0, 0): "c", (0, "t", 1, 0): "w", (0, "t", 0, 1): "w", (0, "t", 1, 1): "c"}
    rollouts, rounds = play(config, posed, 2, texts.__getitem__)
    assert rounds == [2, 2]  # also who was right answers again
    assert paid(config, posed, rollouts)[0] == [1.0, -0.5, -1.0, 1.5]


def test_what_a_student_hears() -> None:
    texts = {(0, "t", 1, 0): "w:0.25", (0, "t", 2, 0): "m"}
    said = {}
    for says in ("nothing", "verdict", "score"):
        rollouts, _ = play(Refine(says=says), posings(), 4, lambda key: texts.get(key, "w"))
        said[says] = {r.attempt: r.request.messages for r in rollouts if r.turn == 1}
    first, answer, comment = said["verdict"][1]
    assert (first.content, answer) == ("solve t", Message("assistant", "w:0.25"))
    assert comment.content.startswith("Your answer is wrong. Look")
    assert said["verdict"][2][2].content.startswith("Your answer could not be read.")
    assert said["score"][1][2].content.startswith("Your answer is wrong. 25% of the checks passed.")
    assert said["score"][3] == said["verdict"][3]  # without partial credit
    assert len({messages[2].content for messages in said["nothing"].values()}) == 1


def test_a_prompt_that_does_not_fit_ends_the_attempt() -> None:
    rollouts, rounds = play(
        Refine(answers=3), posings(), 4, TEXTS.__getitem__, lambda messages: len(messages) < 4
    )
    assert rounds == [4, 2]
    assert {(r.attempt, r.turn) for r in rollouts if r.final} == {(0, 0), (1, 1), (2, 1), (3, 0)}


def test_first_answers_are_those_of_independent_attempts() -> None:
    seeds = [
        [turn.request for turn in config.begin(posings(2), 3, 7, 5).ask()]
        for config in (Refine(), Independent())
    ]
    assert seeds[0] == seeds[1]
    rollouts, _ = play(Refine(says="nothing", answers=4), posings(2), 3, lambda key: "w")
    assert len({r.request.seed for r in rollouts}) == len(rollouts) == 24
